"""Pages for the errors that nginx answers itself."""

import pytest

from tests.e2e.conftest import NewApp
from tests.web.client import Answer, answers, of

PAGES = {
    f"errors/{name}.html": f"<h1>our {name}</h1>" for name in ("404", "50x", "503", "413", "429")
}
SETTING = "NGINX_ERROR_PAGES=404:errors/404.html,50x:errors/50x.html,413:errors/413.html\n"


def page(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.text.removeprefix("<h1>our ").removesuffix("</h1>")


def test_error_pages_of_a_static_site(new_app: NewApp) -> None:
    files = {
        **PAGES,
        "Procfile": "static: public\n",
        "ENV": f"NGINX_SERVER_NAME=sorry.localhost\n{SETTING}NGINX_STATIC_PATHS=/docs:docs\n",
        "public/index.html": "front",
        "public/empty/x": "x",
        "docs/a.txt": "a",
    }
    app = new_app("sorry", files)
    for path in (
        "/missing",
        "/empty/",
        "/docs/",
        "/docs/missing",
        "/.git/HEAD",
        "/errors/404.html",
        "/@piku-404.html",
    ):
        answer = of(app, path)
        assert page(answer) == (404, "404"), path
        assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert of(app, "/").text == "front"
    assert page(of(app, "/missing", "--head")) == (404, "")
    said = app.does("config:set", "NGINX_ERROR_PAGES=404:errors/none.html")
    assert "NGINX_ERROR_PAGES: there is no file 'errors/none.html' in this commit" in said
    (app.repository / "errors").rename(app.repository / "pages")
    (app.repository / "errors").symlink_to("pages")
    app.commit("Pages through a link")
    app.does("config:unset", "NGINX_ERROR_PAGES")
    assert any("NGINX_ERROR_PAGES: errors is a link" in line for line in app.failed())


@pytest.mark.parametrize("kind", ["web", "wsgi"])
def test_error_pages_of_an_app(new_app: NewApp, kind: str) -> None:
    """nginx answers with a page for what is its own error; what the app says stays."""
    name = f"errors{kind}"
    env = f"{SETTING}NGINX_PROXY_TIMEOUT=1\nNGINX_MAX_BODY_SIZE=10\n"
    app = new_app(name, {**answers(kind, name, env), **PAGES})
    for status in (404, 500, 502, 503, 504):
        answer = of(app, f"/?status={status}")
        assert (answer.status, answer.json["path"]) == (status, "/")
    assert page(of(app, "/?sleep=1.5")) == (504, "50x")
    assert page(of(app, "/.git/HEAD")) == (404, "404")
    assert page(of(app, "/", "--data", "x" * 20)) == (413, "413")
    assert page(of(app, "/?fail=1")) == (502, "50x")
    if kind == "web":
        app.does("stop")
        assert page(of(app, "/")) == (503, "50x")
