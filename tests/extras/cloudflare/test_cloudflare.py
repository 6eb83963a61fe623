"""An app that only Cloudflare may ask, with a server of the tests in place of Cloudflare's API."""

import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sandbox import HOST, Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import App
from tests.web.client import answers, of

# Networks as the API of Cloudflare lists them; the tests' clients are in none of these.
ELSEWHERE = {"ipv4_cidrs": ["198.51.100.0/24", "203.0.113.0/24"], "ipv6_cidrs": ["2001:db8::/32"]}
HERE = {"ipv4_cidrs": ["198.51.100.0/24", "127.0.0.2/32"], "ipv6_cidrs": ["2001:db8::/32"]}


class Api(ThreadingHTTPServer):
    """Says what it is told to say, and counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__((HOST, 0), Handler)
        self.said: object = {}
        self.status = 200
        self.asked = 0

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}/client/v4/ips"

    def lists(self, networks: object) -> None:
        self.said, self.status = (
            {"result": networks, "success": True, "errors": [], "messages": []},
            200,
        )


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Api)
        self.server.asked += 1
        body = json.dumps(self.server.said).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def api(server: Sandbox) -> Iterator[Api]:
    """The API that the server is told to ask."""
    found = Api()
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    server_env = server.root / "ENV"
    server_env.write_text(f"PIKU_CLOUDFLARE_API={found.address}\n")
    yield found
    server_env.unlink()
    found.shutdown()
    thread.join()
    found.server_close()


def status(app: App, address: str, *options: str) -> int:
    return of(app, "/", "--interface", address, *options).status


def forget_asking(app: App) -> None:
    """As if the last answer of the API were two days old."""
    known = app.server.root / "nginx" / "cloudflare.txt"
    days_ago = time.time() - 2 * 86400
    os.utime(known, (days_ago, days_ago))


def test_only_cloudflare_and_who_deploys(new_app: NewApp, api: Api) -> None:
    env = "NGINX_CLOUDFLARE_ACL=true\nNGINX_STATIC_PATHS=/files:public\n"
    app = new_app("guarded", answers("web", "guarded", env, public__a_txt="a"), push=False)
    known = app.server.root / "nginx" / "cloudflare.txt"

    # Nobody answers: the list that comes with piku is used, and the push says so.
    api.status = 500
    said = "\n".join(app.deployed())
    assert "error: 500" in said and "using those that come with piku" in said
    assert not known.exists()
    assert (status(app, "127.0.0.2"), status(app, "127.0.0.3")) == (403, 403)
    # The client that pushed is let in, wherever it is.
    assert status(app, "127.0.0.1") == 200
    assert of(app, "/files/a.txt", "--interface", "127.0.0.2").status == 403
    assert of(app, "/files/a.txt").text == "a"
    assert of(app, "/.well-known/acme-challenge/x", "--interface", "127.0.0.2").status == 404

    api.lists(ELSEWHERE)
    app.commit(version_txt="two")
    assert "Cloudflare" not in "\n".join(app.deployed())
    assert (status(app, "127.0.0.2"), status(app, "127.0.0.1")) == (403, 200)
    # Who connects from elsewhere is not believed.
    direct = of(app, "/", "--header", "CF-Connecting-IP: 192.0.2.7")
    assert direct.json["client"] == "127.0.0.1"

    # Within a day nobody is asked again.
    asked = api.asked
    api.lists(HERE)
    app.does("config:set", "A=1")
    assert api.asked == asked
    forget_asking(app)
    app.does("config:set", "A=2")
    assert api.asked == asked + 1
    assert (status(app, "127.0.0.2"), status(app, "127.0.0.3"), status(app, "127.0.0.1")) == (
        200,
        403,
        200,
    )
    for kind in ("web", "wsgi"):
        if kind == "wsgi":
            app.server.commit(app.repository, answers("wsgi", "guarded", env))
            app.deployed()
        through = ("--interface", "127.0.0.2", "--header")
        for said, client in (
            ("CF-Connecting-IP: 192.0.2.7", "192.0.2.7"),
            ("CF-Connecting-IP: 2001:db8::7", "2001:db8::7"),
            ("CF-Connecting-IP: evil, 192.0.2.7", "127.0.0.2"),
            ("CF-Connecting-IP;", "127.0.0.2"),
            ("X-Real-IP: 192.0.2.8", "127.0.0.2"),
        ):
            told = of(app, "/", *through, said, "--header", "X-Forwarded-For: 192.0.2.9").json
            assert told["client"] == told["forwarded"] == client, (kind, said)
        direct = of(app, "/", "--header", "CF-Connecting-IP: 192.0.2.7")
        assert direct.json["client"] == "127.0.0.1"

    # The last list holds when nobody answers any more.
    forget_asking(app)
    api.status = 500
    result = app.says("config:set", "A=3")
    assert result.returncode == 0 and "using those of 20" in result.stdout
    assert (status(app, "127.0.0.2"), status(app, "127.0.0.3")) == (200, 403)

    # What all apps share is not for one of them to replace.
    result = app.says("config:set", f"PIKU_CLOUDFLARE_API={api.address}?mine")
    assert result.returncode == 1 and "is for the whole server" in result.stderr
    assert api.asked == asked + 2
    app.does("config:set", "NGINX_CLOUDFLARE_ACL=false")
    assert status(app, "127.0.0.3") == 200
