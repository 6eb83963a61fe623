"""Pages for errors, and an app that is out of service for a while."""

import pytest
from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import refused
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
    for value, words in (
        ("404:errors/none.html", "there is no file or folder 'errors/none.html' in this commit"),
        ("404:errors", "errors is not a file"),
        ("404:/etc/passwd", "outside the app's folder"),
        ("200:errors/404.html", "is no error that a page can be shown for"),
        ("52x:errors/404.html", "is no error that a page can be shown for"),
        ("404", "is not of the form 404:path or 50x:path"),
        ("404:errors/404.html,404:errors/50x.html", "'404' stands twice"),
        ("499:errors/404.html", "is no error that a page can be shown for"),
    ):
        result = app.says("config:set", f"NGINX_ERROR_PAGES={value}")
        assert result.returncode == 1, value
        assert words in result.stdout + result.stderr, (value, result.stdout + result.stderr)


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


def test_maintenance(new_app: NewApp, server: Sandbox) -> None:
    env = "NGINX_STATIC_PATHS=/files:public\nNGINX_BASIC_AUTH='a:{SSHA}0+vqiBWKb9LMCBTQPwSdVLIATWpzYWx0'\n"
    app = new_app("down", answers("web", "down", env, public__a_txt="a"))
    other = new_app("downhill", answers("wsgi", "downhill"))
    folder = server.root / "acme" / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token-2").write_text("token-2.thumbprint")
    assert of(app, "/").status == 401

    on = app.asked("maintenance:on")
    assert on.returncode == 0
    said = on.stdout
    assert "down answers 503 until `piku maintenance:off down`" in said
    for path in ("/", "/files/a.txt", "/missing", "/.git/HEAD", "/ENV"):
        for https in (False, True):
            answer = of(app, path, https=https)
            assert (answer.status, answer.header("Retry-After")) == (503, "300"), path
            assert "Back in a moment" in answer.text
            assert answer.header("Content-Type") == "text/html; charset=utf-8"
    assert of(app, "/", "--data", "x").status == of(app, "/", "--head").status == 503
    assert of(app, "/.well-known/acme-challenge/token-2").text == "token-2.thumbprint"
    assert of(other, "/").json["path"] == "/"

    # It stays while releases come and go, and each says so.
    server.commit(app.repository, {**answers("web", "down"), **PAGES})
    assert "down is in maintenance: `piku maintenance:off down` ends it" in "\n".join(
        app.deployed()
    )
    assert of(app, "/").status == 503
    app.does("maintenance:on", "--retry-after", "7")
    assert of(app, "/").header("Retry-After") == "7"
    said = app.does("config:set", "NGINX_ERROR_PAGES=503:errors/503.html")
    assert "is in maintenance" in said
    answer = of(app, "/")
    assert (page(answer), answer.header("Retry-After")) == ((503, "503"), "7")
    # The processes run on.
    assert list(app.ps()) == ["web.1"]
    app.does("restart")
    assert of(app, "/").status == 503

    assert "down answers again" in app.does("maintenance:off")
    assert of(app, "/").json["path"] == "/"
    app.does("maintenance:off")
    refused(server.piku("maintenance:on", "nosuch"), 1, "no app called 'nosuch'")
    refused(server.piku("maintenance:off", "nosuch"), 1, "no app called 'nosuch'")
    assert server.piku("maintenance:on", "down", "--retry-after", "0").returncode == 2
    assert of(app, "/").status == 200
