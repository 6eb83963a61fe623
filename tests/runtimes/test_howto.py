"""The apps of the how-to pages, pushed as they are, and what the pages claim of them."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

from sandbox import HOST

from tests.e2e.support import App

NewApp = Callable[..., App]
Example = Callable[[str], Path]


def answered(
    app: App,
    path: str = "/",
    *,
    method: str = "GET",
    form: dict[str, str] | None = None,
    cookie: str = "",
) -> tuple[int, http.client.HTTPMessage, str]:
    """One request over HTTP, with a form in it or without."""
    headers = (
        {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie} if form else {}
    )
    status, found, body = app.server.get(
        app.host,
        path,
        method=method,
        headers=headers,
        body=urlencode(form).encode() if form else None,
    )
    return status, found, body.decode()


def test_django(new_app: NewApp, example: Example) -> None:
    app = new_app("django", example("howto-django"))
    status, headers, page = answered(app)
    assert status == 200 and "<h1>Guestbook</h1>" in page
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert token
    form = {"csrfmiddlewaretoken": token[1], "text": "I was here"}
    cookie = headers["Set-Cookie"].partition(";")[0]
    assert answered(app, method="POST", form=form, cookie=cookie)[0] == 302
    assert answered(app, method="POST", form=form | {"text": "no cookie"})[0] == 403
    assert "<p>I was here</p>" in app.body()
    assert "max-width" in app.body("/static/guestbook.css")
    assert "<p>I was here</p>" in app.body(https=True)

    # The database and the key outlive a release; what collectstatic wrote is each release's own.
    secret = (app.data / "secret_key").read_text()
    app.server.commit(app.repository, {"guestbook/static/guestbook.css": "body { color: navy }\n"})
    said = app.deployed()
    assert any("Reusing python-" in line for line in said), said
    assert "<p>I was here</p>" in app.body()
    assert "navy" in app.body("/static/guestbook.css")
    assert (app.data / "secret_key").read_text() == secret

    # A migration that fails keeps the new release from going live.
    broken = "from django.db import migrations\nclass Migration(migrations.Migration):\n    dependencies = ["
    broken += '("guestbook", "0001_initial")]\n    operations = [migrations.RunSQL("DROP TABLE no_such")]\n'
    app.server.commit(app.repository, {"guestbook/migrations/0002_broken.py": broken})
    result = app.push()
    assert result.returncode == 1 and "no such table: no_such" in result.stdout, result.stdout
    assert "still runs, as before" in result.stdout
    assert "<p>I was here</p>" in app.body()
    shown = app.does("run", "--", "python", "manage.py", "showmigrations", "guestbook")
    assert "[X] 0001_initial" in shown and "0002" not in shown


def test_flask(new_app: NewApp, example: Example) -> None:
    app = new_app("flask", example("howto-flask"))
    first = visitor(app)
    assert visitor(app) == first + 1
    assert "max-width" in app.body("/static/style.css")
    app.commit("Nothing new")
    app.deployed()
    second = visitor(app)  # the check of a new release is a visitor as well
    assert second > first + 1
    # A function that makes the app will do as well.
    code = (app.repository / "app.py").read_text()
    app.commit(
        Procfile="wsgi: app:create_app()\n",
        app_py=f"{code}\n\ndef create_app() -> Flask:\n    return app\n",
    )
    app.deployed()
    assert visitor(app) > second


def visitor(app: App) -> int:
    """The number that the page counts its visitor as."""
    found = re.search(r"You are visitor (\d+)\.", app.body())
    assert found
    return int(found[1])


def test_fastapi(new_app: NewApp, example: Example) -> None:
    app = new_app("fastapi", example("howto-fastapi"))
    assert json.loads(app.body("/hello/you")) == {"hello": "you", "release": "1", "scheme": "http"}
    assert json.loads(app.body("/hello/you", https=True))["scheme"] == "https"
    assert "Swagger" in app.body("/docs")
    app.does("ps:scale", "web=2")
    assert sorted(app.ps()) == ["web.1", "web.2"]
    assert json.loads(app.body("/health")) == {"well": True}
    # A release that is not well does not go live.
    code = (app.repository / "app.py").read_text()
    app.does("config:set", "--no-restart", "PIKU_DEPLOY_TIMEOUT=20")
    app.commit(app_py=code.replace('return {"well": True}', "raise RuntimeError"))
    said = app.failed()
    assert any("/health with 500" in line for line in said), said
    assert json.loads(app.body("/health")) == {"well": True}


def test_rails(new_app: NewApp, example: Example, tmp_path: Path) -> None:
    """Rails as Debian has it, packed as gems again: RubyGems is not asked."""
    script = Path(__file__).with_name("gems.rb")
    packed = ["ruby", "-r", "tmpdir", str(script), str(tmp_path), "rails", "sqlite3", "puma"]
    subprocess.run(packed, check=True, capture_output=True)
    app = new_app("rails", example("howto-rails"), push=False)
    gemfile = (app.repository / "Gemfile").read_text()
    app.commit(Gemfile=gemfile.replace("https://rubygems.org", f"file://{tmp_path}"))
    app.deployed()
    status, headers, page = answered(app)
    assert status == 200 and "<h1>Guestbook</h1>" in page
    token = re.search(r'name="authenticity_token" value="([^"]+)"', page)
    assert token
    form = {"authenticity_token": token[1], "text": "I was here"}
    cookie = headers["Set-Cookie"].partition(";")[0]
    status, headers, _ = answered(app, "/entries", method="POST", form=form, cookie=cookie)
    assert (status, headers["Location"].partition("//")[2].partition("/")[2]) == (302, "")
    assert "<p>I was here</p>" in app.body(https=True)
    assert "Completed 200 OK" in app.does("logs", "web", "--no-follow")

    # The database outlives a release, and nothing was written beside the code.
    app.commit("Nothing new")
    said = app.deployed()
    assert any("Reusing ruby-" in line for line in said), said
    assert "<p>I was here</p>" in app.body()
    broken = (
        "class Broken < ActiveRecord::Migration[6.1]\n  def change = drop_table(:nothing)\nend\n"
    )
    app.server.commit(app.repository, {"db/migrate/20260102000000_broken.rb": broken})
    assert any("no such table: nothing" in line for line in app.failed())
    assert "<p>I was here</p>" in app.body()


def test_express(new_app: NewApp, example: Example) -> None:
    app = new_app("express", example("howto-express"))
    assert app.body() == "Hello from Express, over http, release 1\n"
    assert app.body(https=True) == "Hello from Express, over https, release 1\n"
    code = (app.repository / "server.js").read_text()
    app.commit(server_js=code.replace("Hello", "Goodbye"))
    assert any("Reusing node-" in line for line in app.deployed())
    assert app.body() == "Goodbye from Express, over http, release 2\n"


def test_a_site_that_a_generator_makes(new_app: NewApp) -> None:
    files = {
        "requirements.txt": "mkdocs<2\n",
        "Procfile": "static: site\nrelease: mkdocs build --strict\n",
        "mkdocs.yml": "site_name: Pages\n",
        "docs/index.md": "# Hello from a generator\n",
    }
    app = new_app("pages", files)
    assert app.ps() == {}
    assert "Hello from a generator</h1>" in app.body()
    app.server.commit(app.repository, {"docs/index.md": "# Hello\n\n[nothing](missing.md)\n"})
    said = app.failed()
    assert any("missing.md" in line for line in said), said
    assert "Hello from a generator</h1>" in app.body()


def test_single_page_app(new_app: NewApp, example: Example) -> None:
    app = new_app("spa", example("howto-spa"))
    assert app.ps() == {}
    page = app.body()
    assert "<title>A single-page app</title>" in page
    assert app.body("/orders/7") == page
    script = re.search(r'src="(/assets/index-[0-9a-f]{8}\.js)"', page)
    assert script, page
    status, headers, code = answered(app, script[1])
    assert status == 200 and "This is order" in code
    assert headers["Cache-Control"] == "max-age=31536000"
    # The next release has a script of another name; pages that are open still find theirs.
    main = (app.repository / "main.js").read_text()
    app.commit(main_js=main.replace("This is order", "Here is order"))
    app.deployed()
    assert app.body() != page
    assert "This is order" in answered(app, script[1])[2]


class WebSocket:
    """As much of RFC 6455 as one short line each way takes."""

    def __init__(self, app: App) -> None:
        self._socket = socket.create_connection((HOST, app.server.http_port), 60)
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET / HTTP/1.1\r\nHost: {app.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self._socket.sendall(request.encode())
        self._stream = self._socket.makefile("rb")
        assert self._stream.readline().startswith(b"HTTP/1.1 101 ")
        while self._stream.readline() != b"\r\n":
            pass

    def say(self, text: str) -> None:
        mask, data = os.urandom(4), text.encode()
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self._socket.sendall(bytes([0x81, 0x80 | len(data)]) + mask + masked)

    def hear(self) -> bytes:
        """The next message; of one that closes the connection, its code and reason."""
        while True:
            kind, length = self._stream.read(2)
            message = self._stream.read(length)
            if kind & 0x0F != 9:  # a ping
                return message

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


def test_websocket(new_app: NewApp, example: Example) -> None:
    app = new_app("chat", example("howto-websocket"))
    assert "new WebSocket" in app.body()
    one, other = WebSocket(app), WebSocket(app)
    try:
        one.say("good evening")
        assert one.hear() == other.hear() == b"good evening"
        # A new release tells the pages that are open to connect again, and they reach it.
        app.commit("Nothing new")
        app.deployed()
        assert one.hear() == (1012).to_bytes(2, "big") + b"a new release"
    finally:
        one.close()
        other.close()
    again = WebSocket(app)
    again.say("here again")
    assert again.hear() == b"here again"
    again.close()


def test_cron(new_app: NewApp, example: Example) -> None:
    app = new_app("report", example("howto-cron"))
    assert app.body() == "There is no report yet.\n"
    (job,) = json.loads(app.does("cron", "--json"))
    assert job["job"] == "cron-report" and job["schedule"] == "30 6 * * mon-fri"
    assert "The report is written." in app.does("cron:run", "report")
    assert re.fullmatch(r"Written \w+day \d\d:\d\d WES?T by cron-report\n", app.body())
    assert "The report is written." in app.does("logs", "cron-report", "--no-follow")


def test_several_web_processes(new_app: NewApp, example: Example) -> None:
    app = new_app("many", example("web"))
    app.does("ps:scale", "web=3")
    assert sorted(app.ps()) == ["web.1", "web.2", "web.3"]
    assert len({row["address"] for row in app.ps().values()}) == 3
    app.commit("Nothing new")
    app.deployed()
    assert sorted(app.ps()) == ["web.1", "web.2", "web.3"], (
        "counts belong to the app, not to a release"
    )
    assert app.body().endswith("release 2\n")


def test_uploads_of_a_php_app(new_app: NewApp, example: Example) -> None:
    app = new_app("gallery", example("php"), push=False)
    app.commit(ENV=f"NGINX_SERVER_NAME={app.host}\nPIKU_PERSIST=public/uploads\n")
    app.deployed()
    uploads = app.data / "public" / "uploads"
    (uploads / "picture.txt").write_text("a picture")
    (uploads / "script.php").write_text("<?php echo 'it ran';\n")
    assert app.body("/uploads/picture.txt") == "a picture"
    status, _, said = answered(app, "/uploads/script.php")
    assert status in (403, 404) and "it ran" not in said, (status, said)
    app.commit("Nothing new")
    app.deployed()
    assert app.body("/uploads/picture.txt") == "a picture"
    assert "Hello from PHP" in app.body() and "release 2" in app.body()
