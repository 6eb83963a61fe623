"""Connections to a `web` app are kept, unless that delays its answers."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import NewApp
from tests.e2e.support import App

# Says over how many connections it was asked; an answer goes out in two writes or in one.
SERVER = """\
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = {nodelay}
    connections = 0
    def setup(self):
        Handler.connections += 1
        super().setup()
    def do_GET(self):
        body = str(Handler.connections).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
ThreadingHTTPServer((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])), Handler).serve_forever()
"""
NOTICED = "TCP_NODELAY"


def files(name: str, *, nodelay: bool) -> dict[str, str]:
    return {
        "ENV": f"NGINX_SERVER_NAME={name}.localhost\n",
        "Procfile": "web: exec python3 -IS server.py\n",
        "server.py": SERVER.format(nodelay=nodelay),
    }


def opened(app: App) -> int:
    """How many connections five requests in a row open: nginx has two workers at most here."""
    before = int(app.body())
    return max(int(app.body()) for _ in range(5)) - before


def configured(app: App) -> bool:
    """Whether nginx opens a connection for each request to the app."""
    return "set $piku_connect fresh-;" in (app.server.root / f"nginx/{app.name}.conf").read_text()


def test_a_server_that_delays_its_answers_has_a_connection_for_each(new_app: NewApp) -> None:
    app = new_app("parts", files("parts", nodelay=False), push=False)
    assert any(NOTICED in line for line in app.deployed())
    assert configured(app)
    assert opened(app) == 5
    app.does("config:set", "NGINX_PROXY_KEEPALIVE=true")
    assert not configured(app)
    app.does("config:unset", "NGINX_PROXY_KEEPALIVE")
    assert configured(app)
    app.commit(server_py=SERVER.format(nodelay=True))
    assert not any(NOTICED in line for line in app.deployed())
    assert not configured(app)


def test_any_other_keeps_them_unless_told_otherwise(new_app: NewApp) -> None:
    app = new_app("whole", files("whole", nodelay=True), push=False)
    assert not any(NOTICED in line for line in app.deployed())
    assert not configured(app)
    app.does("config:set", "NGINX_PROXY_KEEPALIVE=false")
    assert configured(app)
    assert opened(app) == 5


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Le", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length:2\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", True),
    ],
)
def test_where_an_answer_ends(answer: bytes, whole: bool) -> None:
    from piku.extras.keepalive import keepalive

    assert keepalive._is_whole(answer) is whole


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK", b"HTTP/1.1 200 OK\r\nConnection: close"])
def test_a_connection_that_is_not_kept_delays_nothing(head: bytes) -> None:
    from piku.extras.keepalive import keepalive

    with pytest.raises(ValueError, match="not kept"):
        keepalive._is_whole(head + b"\r\n\r\nok")
