"""The apps of docs/howto/databases.md, with the real servers."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.e2e.support import CHECKOUT, App

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


def counts_on(app: App) -> None:
    """See that the count goes on after a new start."""
    first = visitor(app)
    app.does("restart")
    assert visitor(app) > first


def block(section: str, word: str) -> str:
    """The code on the page that has this word, in the section of that title."""
    text = (CHECKOUT / "docs" / "howto" / "databases.md").read_text()
    text = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    [found] = [one for one in re.findall(r"(?ms)^```\w+\n(.*?)^```", text) if word in one]
    return str(found)


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


COUNTING = """
from django.core.cache import cache

inner = guestbook


def guestbook(request: HttpRequest) -> HttpResponse:
    response = inner(request)
    if request.method == "GET":
        cache.add("visits", 0, timeout=None)
        response["Visits"] = str(cache.incr("visits"))
    return response
"""


def test_django_with_mariadb_and_redis(new_app: NewApp, example: Example) -> None:
    app = new_app("django-mariadb", example("howto-django"), push=False)
    files = {
        "requirements.txt": "PyMySQL==1.*\nredis==8.*\n",
        "guestbook/__init__.py": block("Django", "install_as_MySQLdb"),
        "guestbook/settings.py": block("Django", "CACHES"),
        "guestbook/views.py": COUNTING,
    }
    for name, text in files.items():
        with (app.repository / name).open("a") as file:
            file.write(text)
    app.server.commit(app.repository, {})
    app.does("apps:create")
    app.does("redis:create")
    app.does("mariadb:create")
    app.deployed()
    write(app, "I was here")
    assert "<p>I was here</p>" in app.body()
    visits = [int(app.server.get(app.host)[1]["Visits"]) for _ in range(2)]
    assert visits[1] == visits[0] + 1
    said = app.server.piku("mariadb:connect", app.name, input="SELECT text FROM guestbook_entry;")
    assert "I was here" in said.stdout


def test_flask_with_redis(new_app: NewApp, example: Example) -> None:
    counts_on(made(new_app("flask-redis", example("howto-redis"), push=False), "redis"))


def test_express_with_mariadb(new_app: NewApp, example: Example) -> None:
    counts_on(made(new_app("express-mariadb", example("howto-mariadb"), push=False), "mariadb"))


@pytest.mark.parametrize("kind", ["postgres", "mariadb", "sqlite"])
def test_flask_with_sqlalchemy(new_app: NewApp, kind: str) -> None:
    words = {"Procfile": "app.create", "requirements.txt": "SQLAlchemy", "app.py": "DRIVERS"}
    files = {name: block("Flask", word) for name, word in words.items()}
    counts_on(made(new_app(f"flask-{kind}", files, push=False), kind))


SERVER = """
const app = require("express")();

app.get("/", async (request, response) => {
  response.type("text/plain").send(`You are visitor ${await count()}.\n`);
});
begin().then(() => app.listen(process.env.PORT, process.env.BIND_ADDRESS));
"""
COUNT = {
    "postgres": """
const begin = () => database.query("CREATE TABLE IF NOT EXISTS visits (path text)");
const count = async () => {
  await database.query("INSERT INTO visits VALUES ('/')");
  return (await database.query("SELECT count(*) AS count FROM visits")).rows[0].count;
};
""",
    "redis": """
const begin = () => database.connect();
const count = () => database.incr("visits");
""",
}


@pytest.mark.parametrize(("kind", "package"), [("postgres", "pg"), ("redis", "redis")])
def test_express(new_app: NewApp, kind: str, package: str) -> None:
    files = {
        "Procfile": "web: exec node server.js\n",
        "package.json": json.dumps({"dependencies": {"express": "5.*", package: "*"}}),
        "database.js": block("Express", f'require("{package}")'),
        "server.js": f'const database = require("./database");\n{COUNT[kind]}{SERVER}',
    }
    counts_on(made(new_app(f"express-{kind}", files, push=False), kind))


@pytest.fixture(scope="module")
def gems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rails and the drivers as Debian has them, packed as gems again: RubyGems is not asked."""
    folder = tmp_path_factory.mktemp("gems")
    script = str(Path(__file__).with_name("gems.rb"))
    names = ["rails", "sqlite3", "puma", "pg", "mysql2"]
    packed = ["ruby", "-r", "tmpdir", script, str(folder), *names]
    subprocess.run(packed, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize(("kind", "adapter"), [("postgres", "pg"), ("mariadb", "mysql2")])
def test_rails(new_app: NewApp, example: Example, gems: Path, kind: str, adapter: str) -> None:
    app = new_app(f"rails-{kind}", example("howto-rails"), push=False)
    gemfile = (
        (app.repository / "Gemfile").read_text().replace("https://rubygems.org", f"file://{gems}")
    )
    database = block("Rails", "adapter:")
    if kind == "mariadb":
        database = re.sub(r"adapter: .*", "adapter: mysql2", database)
        database = re.sub(r"host: .* # with MariaDB: (.*)", r"\1", database)
    files = {
        "Gemfile": gemfile.replace('gem "sqlite3"', f'gem "{adapter}"'),
        "config/database.yml": database,
    }
    app.server.commit(app.repository, files)
    app.does("apps:create")
    app.does(f"{kind}:create", "--as", "SQL_URL")
    app.deployed()
    status, headers, page = app.server.get(app.host)
    token = re.search(r'name="authenticity_token" value="([^"]+)"', page.decode())
    assert status == 200 and token
    sent = {
        "Cookie": headers["Set-Cookie"].partition(";")[0],
        "Content-Type": "application/x-www-form-urlencoded",
    }
    form = urlencode({"authenticity_token": token[1], "text": "I was here"}).encode()
    assert app.server.get(app.host, "/entries", headers=sent, method="POST", body=form)[0] == 302
    assert "<p>I was here</p>" in app.body()
    said = app.server.piku(f"{kind}:connect", app.name, input="SELECT text FROM entries;")
    assert "I was here" in said.stdout
