"""Clients that send half of what they should, or take nothing, while somebody honest asks."""

import contextlib
import re
import resource
import select
import socket
import ssl
import time

import pytest
from sandbox import HOST, Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import NO_EXTRAS, App, wsgi

HEADERS, HANDSHAKES = 4000, 1000
ADDRESSES = [f"127.0.1.{number}" for number in range(1, 21)]
CLOUDFLARE = "127.0.2.1"
THREADS = 4  # of a wsgi app
LARGE = """\
def app(environ, start_response):
    path = environ["PATH_INFO"]
    body = b"x" * {"/": 1, "/download": 17_000_000}.get(path, 8_000_000)
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))]
    headers += [("X-Accel-Buffering", "no")] if path == "/own" else []
    start_response("200 OK", headers)
    return [body]
"""


@pytest.fixture(scope="module")
def app(server: Sandbox, new_app: NewApp) -> App:
    (server.root / "nginx" / "cloudflare.txt").write_text(f"{CLOUDFLARE}/32\n")
    return new_app("slow", wsgi("slow"))


def connection(port: int, address: str, text: bytes) -> socket.socket:
    """A client at one of the loopback addresses, which has said this."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.bind((address, 0))
    client.settimeout(10)
    client.connect((HOST, port))
    client.sendall(text)
    return client


def half_a_handshake() -> bytes:
    """The beginning of what a client says first over TLS."""
    said = ssl.MemoryBIO()
    context = ssl._create_unverified_context()  # noqa: S323 (it gets no answer)
    session = context.wrap_bio(ssl.MemoryBIO(), said, server_hostname="slow.localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
    return said.read()[:-10]


def test_half_sent_requests_are_cut_off_and_others_are_served(app: App) -> None:
    server = app.server
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert most > HEADERS + HANDSHAKES + 500, "this test needs: ulimit -n 6000"
    half_a_head = f"GET / HTTP/1.1\r\nHost: {app.host}\r\nX-Half: ".encode()
    halves = [(server.http_port, half_a_head)] * HEADERS
    halves += [(server.https_port, half_a_handshake())] * HANDSHAKES
    begun = time.monotonic()
    with contextlib.ExitStack() as stack:
        waiting = select.epoll()
        for number, (port, half) in enumerate(halves):
            address = ADDRESSES[number % len(ADDRESSES)]
            waiting.register(stack.enter_context(connection(port, address, half)), select.EPOLLIN)
        opened, times = time.monotonic(), list[float]()
        for https in [False, True] * 50:
            asked = time.monotonic()
            assert server.get(app.host, https=https, timeout=20)[0] == 200
            times.append(time.monotonic() - asked)
        early = time.monotonic() - begun < 9  # nginx waits 10 s for a head
        assert not early or not waiting.poll(0), "they were cut off before others were served"
        assert sorted(times)[89] < 1  # the machine may stop for a moment, nginx may not
        left = len(halves)
        while left:
            ended = [number for number, _ in waiting.poll(30, left)]
            assert ended, f"{left} clients are still connected"
            left -= len(ended)
            for number in ended:
                waiting.unregister(number)
        assert time.monotonic() - opened < 45  # nginx by itself waits 60 s


# --- answers that nobody takes ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(new_app: NewApp) -> App:
    return new_app("large", {**wsgi("large"), "app.py": LARGE})


@pytest.mark.parametrize(
    ("path", "served"), [("/large", True), ("/download", False), ("/own", False)]
)
def test_an_answer_that_nobody_takes_keeps_no_thread_busy(
    large: App, path: str, served: bool
) -> None:
    server, text = large.server, f"GET {path} HTTP/1.1\r\nHost: {large.host}\r\n\r\n".encode()

    def begins(client: socket.socket) -> None:
        assert client.recv(15) == b"HTTP/1.1 200 OK"

    with contextlib.ExitStack() as stack:
        for _ in range(THREADS):
            begins(stack.enter_context(connection(server.http_port, ADDRESSES[0], text)))
        if served:
            assert server.get(large.host, timeout=20)[0] == 200
        else:  # a download is taken in parts, and so is what the app says is not for buffers
            with pytest.raises(TimeoutError):
                server.get(large.host, timeout=1)
    assert server.get(large.host, timeout=20)[0] == 200


# --- one client ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def share(app: App) -> int:
    """How many requests nginx takes from one client at a time."""
    common = (app.server.root / "nginx" / "@common.conf").read_text()
    found = re.search(r"limit_conn of_clients (\d+)", common)
    assert found
    return int(found[1])


def post(host: str, client: str, *, whole: bool) -> bytes:
    head = f"POST /part/ HTTP/1.1\r\nHost: {host}\r\nCF-Connecting-IP: {client}\r\n"
    body = "Content-Length: 0\r\n\r\n" if whole else "Content-Length: 99\r\n\r\nhalf"
    return (head + body).encode()


@pytest.fixture(scope="module")
def mounted(app: App, new_app: NewApp) -> App:
    """An app that has a part of a name, which is an extra: its requests pass nginx twice."""
    if NO_EXTRAS:
        return app
    files = {**wsgi("mounted"), "ENV": "NGINX_SERVER_NAME=shared.localhost/part\n"}
    return new_app("mounted", files)


@pytest.mark.parametrize(
    ("host", "address", "client", "same", "other"),
    [
        ("slow.localhost", "127.0.1.1", "", "192.0.2.9", "127.0.1.2"),
        ("slow.localhost", CLOUDFLARE, "192.0.2.1", "192.0.2.1", "192.0.2.2"),
        ("slow.localhost", CLOUDFLARE, "2001:db8:1:2::1", "2001:db8:1:2:f::1", "2001:db8:1:3::1"),
        ("slow.localhost", CLOUDFLARE, "2001:db8::1", "2001:db8::2", "2001:db8:1::1"),
        pytest.param(
            "shared.localhost",
            "127.0.1.3",
            "",
            "",
            "127.0.1.4",
            marks=pytest.mark.skipif(NO_EXTRAS, reason="a part of a name is an extra's"),
        ),
    ],
    ids=["address", "cloudflare", "ipv6-network", "ipv6-zeros", "part-of-a-name"],
)
def test_a_client_with_many_slow_requests_is_refused_more(
    server: Sandbox, mounted: App, share: int,
    host: str, address: str, client: str, same: str, other: str,
) -> None:  # fmt: skip
    def status(address: str, client: str) -> int:
        asked = connection(server.http_port, address, post(host, client, whole=True))
        with asked:
            return int(asked.recv(4096).split()[1])

    def slow() -> socket.socket:
        return connection(server.http_port, address, post(host, client, whole=False))

    def one_more_is_refused() -> bool:
        # Each time another slow one: nginx may still count the answer before it, and refuse it.
        stack.enter_context(slow())
        return status(address, same) == 429

    with contextlib.ExitStack() as stack:
        for _ in range(share - 1):
            stack.enter_context(slow())
        assert status(address, same) == 200
        server.wait(one_more_is_refused)
        assert status(*((CLOUDFLARE, other) if address == CLOUDFLARE else (other, ""))) == 200
    server.wait(lambda: status(address, same) == 200)
