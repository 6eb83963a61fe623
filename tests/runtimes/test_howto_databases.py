"""The apps of docs/howto/databases.md, with the real servers."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tests.e2e.support import App

NewApp = Callable[..., App]
Example = Callable[[str], Path]


def visitor(app: App) -> int:
    """The number that the page counts its visitor as."""
    found = re.search(r"You are visitor (\d+)\.", app.body())
    assert found
    return int(found[1])


def made(app: App, kind: str) -> App:
    """The app with a database before its first push."""
    app.does("apps:create")
    app.does(f"{kind}:create")
    app.deployed()
    return app


def test_django_with_postgres(new_app: NewApp, example: Example) -> None:
    app = made(new_app("django-postgres", example("howto-django"), push=False), "postgres")
    write(app, "I was here")
    assert "<p>I was here</p>" in app.body()
    said = app.server.piku("postgres:connect", app.name, input="SELECT text FROM guestbook_entry;")
    assert "I was here" in said.stdout
    assert not (app.data / "db.sqlite3").exists()
    # The same code on SQLite: the migrations run before the release with the other address.
    app.does("postgres:destroy", "--force")
    app.does("sqlite:create")
    app.does("deploy")
    assert "<p>I was here</p>" not in app.body()
    write(app, "And here")
    assert "<p>And here</p>" in app.body() and (app.data / "database.sqlite3").exists()


def write(app: App, text: str) -> None:
    """Send the form of the guestbook."""
    status, headers, page = app.server.get(app.host)
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.decode())
    assert status == 200 and token
    cookie = headers["Set-Cookie"].partition(";")[0]
    sent = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    body = f"csrfmiddlewaretoken={token[1]}&text={text.replace(' ', '+')}".encode()
    assert app.server.get(app.host, headers=sent, method="POST", body=body)[0] == 302


def test_flask_with_redis(new_app: NewApp, example: Example) -> None:
    app = made(new_app("flask-redis", example("howto-redis"), push=False), "redis")
    first = visitor(app)
    app.does("restart")
    assert visitor(app) > first


def test_express_with_mariadb(new_app: NewApp, example: Example) -> None:
    app = made(new_app("express-mariadb", example("howto-mariadb"), push=False), "mariadb")
    first = visitor(app)
    app.does("restart")
    assert visitor(app) > first
