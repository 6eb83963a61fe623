"""What people send through nginx to an app of each kind, and what comes back."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE

import environment
import pytest
from sandbox import HOST

from tests.e2e.support import App
from tests.http.conftest import Echo

LARGE = 8_000_000
WSGI_ECHO = """\
def app(environ, start_response):
    start_response("200 OK", [])
    return [str(len(environ["wsgi.input"].read())).encode()]
"""


@pytest.fixture(scope="module")
def upload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("upload") / "large"
    file.write_bytes(b"0123456789abcdef" * (LARGE // 16))
    return file


# --- bodies ---------------------------------------------------------------------------------------


def test_an_upload_without_a_length_arrives_whole(echo: Echo, upload: Path) -> None:
    found = echo.ask("/form", "--upload-file", "-", "--request", "POST", body=upload).json
    assert found["length"] == LARGE
    assert found["sha256"] == hashlib.sha256(upload.read_bytes()).hexdigest()
    assert "transfer-encoding" not in found["headers"]
    assert found["headers"]["content-length"] == str(LARGE)


def test_an_answer_before_the_body_was_read_arrives(echo: Echo, upload: Path) -> None:
    options = ("--data-binary", f"@{upload}", "--request", "POST")
    answers = [echo.ask("/early", *options).status for _ in range(10)]
    # A program that closes its connection with the body unread may take its answer along (TCP).
    assert answers.count(401) >= (10 if echo.by_uwsgi else 8)


def test_what_is_too_long_is_refused(apps: dict[str, App], tmp_path: Path) -> None:
    file = tmp_path / "longer"
    with file.open("wb") as longer:
        longer.truncate(65 * 1024 * 1024)
    echo = Echo(kind="wsgi", way="http", app=apps["wsgi"])
    assert echo.ask("/", "--upload-file", str(file)).status == 413


def test_without_nginx(new_app: Callable[..., App]) -> None:
    """uWSGI itself cannot hand on a body without a length: it says so, and loses nothing."""
    app = new_app("bare", {"Procfile": "wsgi: app:app\n", "app.py": WSGI_ECHO})
    port = int(app.ps()["wsgi.1"]["address"].rpartition(":")[2])
    with socket.create_connection((HOST, port), 10) as client:
        head = "POST / HTTP/1.1\r\nHost: bare\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.sendall(f"{head}3\r\nabc\r\n0\r\n\r\n".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 411 ")
    assert app.direct(port) == "0"


# --- headers --------------------------------------------------------------------------------------

# The servers of gunicorn and node have limits of their own, below nginx's.
SMALLER = {"gunicorn": 431, "node": 431}


def test_large_headers_of_a_request(echo: Echo) -> None:
    def asked(*sizes: int) -> int:
        headers = (f"X-Large-{number}: {'a' * size}" for number, size in enumerate(sizes))
        words = [word for header in headers for word in ("--header", header)]
        command = echo.command("/", "--output", os.devnull, "--write-out", "%{http_code}", *words)
        done = subprocess.run(command, env={"PATH": environment.PATH}, check=False, stdout=PIPE)
        return int(done.stdout)

    # Of curl's headers the compressed form counts over HTTP/2, so the last one is longer.
    refused = 0 if echo.way == "http2" else 400  # over HTTP/2 nginx ends the connection
    assert asked(7_000) == 200
    assert asked(12_000, 12_000, 12_000) == SMALLER.get(echo.kind, 200)
    assert asked(15_000, 15_000, 15_000, 15_000) == SMALLER.get(echo.kind, 200)
    assert asked(15_000, 15_000, 15_000, 15_000, 15_000) == refused
    assert asked(*[1] * 900) == (431 if echo.kind == "gunicorn" else 200)
    assert asked(*[1] * 1050) == 400
    assert asked(40_000) == refused


def test_large_headers_of_an_answer(echo: Echo) -> None:
    assert len(echo.ask("/cookies?bytes=18000").header("set-cookie")) == 18_004
    assert echo.ask("/cookies?bytes=40000").status == 502
    log = echo.app.server.root / "nginx" / "error.log"
    assert "upstream sent too big header" in log.read_text()


# --- answers --------------------------------------------------------------------------------------


def arrivals(echo: Echo) -> list[float]:
    """When each of three events came that are sent half a second apart."""
    command = echo.command("/events?n=3&gap=0.5", "--no-buffer", "--compressed")
    env = {"PATH": environment.PATH}
    with subprocess.Popen(command, stdout=PIPE, env=env) as client:
        assert client.stdout is not None
        times = [time.monotonic() for line in client.stdout if line.strip()]
    assert client.returncode == 0
    assert len(times) == 3
    return times


def test_events_arrive_one_by_one(echo: Echo) -> None:
    first, _, last = arrivals(echo)
    assert last - first > 0.5  # together they would come at once


def test_an_answer_that_is_cut_off(echo: Echo) -> None:
    """A client sees it, unless uWSGI's protocol is in between, which cannot say it."""
    command = echo.command("/cut")
    code = subprocess.run(command, env={"PATH": environment.PATH}, check=False).returncode
    cut = {"http2": 92}.get(echo.way, 18)  # an error of the stream; a transfer that ended early
    assert code == (0 if echo.by_uwsgi else cut)


def test_buffers(apps: dict[str, App], kind: str) -> None:
    """An app may be kept off slow clients, and may be asked before an upload has come."""
    app = apps[kind]
    app.does("config:set", "NGINX_PROXY_BUFFERING=true", "NGINX_REQUEST_BUFFERING=false")
    first, _, last = arrivals(Echo(kind=kind, way="http", app=app))
    if kind in ("wsgi", "php"):  # nginx hands on each chunk that a web app makes
        assert last - first < 0.5
    with socket.create_connection((HOST, app.server.http_port), 10) as client:
        head = f"POST /early HTTP/1.1\r\nHost: {app.host}\r\nContent-Length: 10\r\n\r\n"
        client.sendall(f"{head}01234".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 401 ")
    app.does("config:unset", "NGINX_PROXY_BUFFERING", "NGINX_REQUEST_BUFFERING")
