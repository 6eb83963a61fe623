"""A push without a Procfile: what runs, what is said, and that every command agrees."""

from collections.abc import Callable

import pytest

from tests.e2e.support import WSGI, App

NewApp = Callable[..., App]


def test_an_app_that_its_files_explain(new_app: NewApp) -> None:
    name = "plainly"
    env = f"NGINX_SERVER_NAME={name}.localhost\n"
    app = new_app(name, {"app.py": WSGI, "version.txt": "one", "ENV": env}, push=False)
    said = app.deployed()
    assert " !     No Procfile: running `wsgi: app:app`, as app.py says" in said
    assert " !     To keep that, or to change it, commit it in a file named Procfile" in said
    assert app.body() == "one"
    assert "wsgi=1" in app.does("deploy", "--dry-run")

    # Whatever reads the release later finds the same.
    assert "No Procfile" not in app.does("config:set", "GREETING=hello")
    app.does("restart")
    app.does("ps:scale", "wsgi=2")
    assert sorted(app.ps()) == ["wsgi.1", "wsgi.2"]
    app.commit(version_txt="two")
    app.deployed()
    app.does("rollback")
    assert app.body() == "one"

    # Written down, it is the person's.
    app.commit(Procfile="wsgi: app:app\n")
    assert not any("Procfile" in line for line in app.deployed())


def test_a_site(new_app: NewApp) -> None:
    """What docsify's people start from; the whole folder is served, but not what is private in it."""
    name = "docsify"
    page = '<div id="app"></div><script src="//cdn.jsdelivr.net/npm/docsify@4"></script>\n'
    files = {
        "index.html": page, "README.md": "# Hello\n", "_sidebar.md": "* [Home](/)\n", ".nojekyll": "",
        ".env": "TOKEN=secret\n", "ENV": f"NGINX_SERVER_NAME={name}.localhost\n",
    }  # fmt: skip
    app = new_app(name, files, push=False)
    said = app.deployed()
    assert " !     No Procfile: running `static: .`, because of index.html" in said
    assert (app.body(), app.body("/README.md")) == (page, "# Hello\n")
    assert [app.status(path) for path in ("/.env", "/ENV", "/.git/config")] == [404, 404, 404]


@pytest.mark.parametrize(
    ("files", "message", "line"),
    [
        ({"README.md": "# Hello\n"}, "and nothing here says what starts this app", "web: COMMAND"),
        ({"requirements.txt": "fastapi\n", "main.py": "app = FastAPI()\n"},
         "and requirements.txt has no server for FastAPI: add uvicorn to it",
         "web: uvicorn main:app --host $BIND_ADDRESS --port $PORT"),
        ({"backend/Procfile": "web: x\n", "index.html": ""}, "but in backend", "PIKU_APP_DIR=backend"),
        ({"procfile.txt": "web: x\n", "index.html": ""}, "but procfile.txt", "git mv procfile.txt Procfile"),
    ],
)  # fmt: skip
def test_what_is_not_sure_is_refused_with_the_line_to_add(
    new_app: NewApp, files: dict[str, str], message: str, line: str
) -> None:
    app = new_app(f"unsure-{len(files)}-{len(message)}", files, push=False)
    said = app.failed()
    refused = f"there is no Procfile in the top folder of this commit, {message}"
    assert any(f"failed at reading the commit: {refused}" in each for each in said), said
    assert any(line in each for each in said if each.startswith(" !     ")), said
