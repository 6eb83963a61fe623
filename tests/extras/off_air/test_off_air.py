"""A push after which nothing would answer at the app's names."""

from tests.e2e.conftest import NewApp
from tests.e2e.support import WORKER


def test_a_site_stays_on_the_air(new_app: NewApp) -> None:
    name = "NGINX_SERVER_NAME=kept.localhost\n"
    files = {"Procfile": "static: .\n", "ENV": name, "index.html": "here"}
    app = new_app("kept", files)
    for change, why in (
        ({"ENV": None}, "this commit has no NGINX_SERVER_NAME any more"),
        ({"Procfile": "worker: exec python3 worker.py\n", "worker.py": WORKER}, "has no web, wsgi"),
    ):
        app.server.commit(app.repository, change)
        said = "\n".join(app.failed())
        assert why in said and "kept.localhost would be off the air" in said
        assert app.body() == "here"
        app.server.git(app.repository, "reset", "--quiet", "--hard", "HEAD~1")
    # Said so, it is done: by a command, or once the app is stopped.
    app.does("config:set", "NGINX_SERVER_NAME=other.localhost")
    app.does("config:unset", "NGINX_SERVER_NAME")
    app.does("stop")
    app.server.commit(app.repository, {"ENV": None})
    app.deployed()
