"""WebSockets through nginx: what RFC 6455 asks, in the order of Autobahn's cases, and a release."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import ParamSpec

import pytest
from sandbox import HOST
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.support import App, wsgi
from tests.http.conftest import files_of
from tests.web import client

# kind: line of the Procfile
LINES = {
    "ws-node": "web: node server.js",
    "ws-uvicorn": "web: uvicorn --host $BIND_ADDRESS --port $PORT app:app",
}
SCHEMES = ("ws", "wss")
MEGABYTE = 1_000_000
OPEN = 50  # connections during a release
BROKEN = 1006  # no frame has this code: a connection ended without one
TEXT, CLOSE, PING = 0x1, 0x8, 0x9
FINAL, RSV2, RSV3 = 0x80, 0x20, 0x10
Open = Callable[..., connect]
P = ParamSpec("P")


def in_a_loop(test: Callable[P, Awaitable[None]]) -> Callable[P, None]:
    """Not with threads: they would read and write one TLS connection at the same time."""

    @functools.wraps(test)
    def run(*args: P.args, **options: P.kwargs) -> None:
        async def limited() -> None:
            async with asyncio.timeout(100):
                await test(*args, **options)

        asyncio.run(limited())

    return run


def opened(app: App, path: str = "/", *, scheme: str = "ws", deflate: bool = False) -> connect:
    """A connection on which nothing is said but what a test says."""
    port = app.server.https_port if scheme == "wss" else app.server.http_port
    # The server signed its certificate itself.
    context = ssl._create_unverified_context() if scheme == "wss" else None  # noqa: S323
    return connect(
        f"{scheme}://{app.host}:{port}{path}",
        host=HOST,
        port=port,
        ssl=context,
        server_hostname=app.host if context else None,
        compression="deflate" if deflate else None,
        ping_interval=None,
        proxy=None,
        max_size=2 * MEGABYTE,
    )


@pytest.fixture(scope="module", params=LINES)
def app(request: pytest.FixtureRequest, new_app: Callable[..., App]) -> App:
    name = str(request.param)
    own = {
        "Procfile": f"{LINES[name]}\n",
        "ENV": f"NGINX_SERVER_NAME={name}.localhost\nPIKU_DRAIN_TIMEOUT=1\n",
    }
    return new_app(name, {**files_of(name), **own})


@pytest.fixture(params=SCHEMES)
def opener(request: pytest.FixtureRequest, app: App) -> Open:
    """What opens a connection to the app in one of the two ways."""
    return lambda path="/", **options: opened(app, path, scheme=request.param, **options)


def frame(first: int, payload: bytes) -> bytes:
    """A frame of up to 65,535 bytes as no library would send it; masked with zeros."""
    length = (
        bytes([0x80 | len(payload)])
        if len(payload) < 126
        else b"\xfe" + len(payload).to_bytes(2, "big")
    )
    return bytes([first]) + length + bytes(4) + payload


async def ended(connection: ClientConnection) -> int:
    """The code with which the other side closes."""
    try:
        while True:
            await connection.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else BROKEN


# --- 1 to 6: messages -----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 125, 126, 65_535, 65_536, MEGABYTE])
@in_a_loop
async def test_messages(opener: Open, length: int) -> None:
    letters = "é€𝄞-".encode()  # of one to four bytes
    text = (letters * length)[:length].decode(errors="ignore").ljust(length - 3, "-")
    async with opener() as connection:
        for message in (text, os.urandom(length)):
            await connection.send(message)
            assert await connection.recv() == message


@in_a_loop
async def test_a_ping_within_a_message_is_answered_before_its_end(opener: Open) -> None:
    async with opener() as connection:

        async def fragments() -> AsyncIterator[str]:
            yield "one "
            await (await connection.ping("within"))
            yield "message"

        await connection.send(fragments())
        assert await connection.recv() == "one message"


@pytest.mark.parametrize("length", [1, 125])
@in_a_loop
async def test_pings(opener: Open, length: int) -> None:
    async with opener() as connection:
        await connection.pong(b"that nobody asked for")
        sent = [await connection.ping(bytes([number]) * length) for number in range(10)]
        for each in sent:
            await each


@pytest.mark.parametrize(
    ("code", "frames"),
    [
        pytest.param(1002, [frame(FINAL | RSV2 | TEXT, b"a")], id="RSV2"),
        pytest.param(1002, [frame(FINAL | RSV3 | PING, b"a")], id="RSV3 of a ping"),
        pytest.param(1002, [frame(FINAL | 0x3, b"a")], id="an opcode of data"),
        pytest.param(1002, [frame(FINAL | 0xB, b"a")], id="an opcode of control"),
        pytest.param(1002, [frame(FINAL | PING, b"a" * 126)], id="a ping of 126 bytes"),
        pytest.param(1002, [frame(PING, b"a")], id="a ping in two frames"),
        pytest.param(1002, [frame(FINAL, b"a")], id="a continuation of nothing"),
        pytest.param(1002, [frame(TEXT, b"a"), frame(FINAL | TEXT, b"b")], id="a message within another"),
        pytest.param(1002, [frame(FINAL | CLOSE, b"\x03")], id="half a code"),
        pytest.param(1002, [frame(FINAL | CLOSE, (1005).to_bytes(2, "big"))], id="a code that is never sent"),
        pytest.param(1007, [frame(FINAL | TEXT, b"\xce\xba\xff")], id="invalid UTF-8"),
        pytest.param(1007, [frame(TEXT, b"\xce"), frame(FINAL, b"\xce")], id="invalid UTF-8 in two frames"),
        pytest.param(1007, [frame(FINAL | TEXT, b"\xed\xa0\x80")], id="a surrogate"),
        pytest.param(1007, [frame(FINAL | CLOSE, b"\x03\xe8\xff")], id="a reason that is not UTF-8"),
    ],
)  # fmt: skip
@in_a_loop
async def test_a_fault_is_answered_with_its_code(
    opener: Open, code: int, frames: list[bytes]
) -> None:
    async with opener() as connection:
        connection.transport.write(b"".join(frames))
        assert await ended(connection) == code


# --- 7: closing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1001, "gone"), (3000, "an own one, é"), (4999, "r" * 123)]
)
@in_a_loop
async def test_closing(opener: Open, code: int, reason: str) -> None:
    async with opener() as connection:
        await connection.close(code, reason)
        assert connection.protocol.close_rcvd is not None
        assert connection.protocol.close_rcvd.code == code
        assert connection.protocol.close_rcvd.reason == reason


# --- 12 and 13: compression -----------------------------------------------------------------------


@in_a_loop
async def test_compression(opener: Open) -> None:
    async with opener(deflate=True) as connection:
        assert connection.response is not None
        assert "permessage-deflate" in connection.response.headers["Sec-WebSocket-Extensions"]
        for message in ("a" * MEGABYTE, os.urandom(65_536), "", "short"):
            await connection.send(message)
            assert await connection.recv() == message


# --- the handshake --------------------------------------------------------------------------------

UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


def handshake(app: App, version: int, scheme: str) -> client.Answer:
    headers = (*UPGRADE, f"Sec-WebSocket-Version: {version}")
    words = [word for header in headers for word in ("--header", header)]
    return client.of(app, "/", "--http1.1", *words, https=scheme == "wss")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_unknown_version_is_refused(app: App, scheme: str) -> None:
    assert handshake(app, 12, scheme).status in (400, 426)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_an_upgrade_that_a_wsgi_app_is_asked_for(plain: App, scheme: str) -> None:
    answer = handshake(plain, 13, scheme)
    assert answer.status == 200
    assert answer.text == plain.body()


@pytest.fixture(scope="module")
def plain(new_app: Callable[..., App]) -> App:
    return new_app("ws-plain", wsgi("ws-plain"))


# --- what happens to open ones --------------------------------------------------------------------


async def talk(app: App, name: str, scheme: str, begun: asyncio.Barrier) -> int:
    """Say something and hear the same, until the other side closes; its code."""
    async with opened(app, scheme=scheme) as connection:
        await begun.wait()
        try:
            for number in itertools.count():
                await connection.send(f"{name} {number}")
                assert await connection.recv() == f"{name} {number}"
                # What else comes within this time answers nothing.
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(connection.recv(), 0.1)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else BROKEN
    raise AssertionError


async def visits(app: App, talks: list[asyncio.Task[int]]) -> int:
    """Open one connection after another, as visitors do, while the old ones last; how many."""
    for number in itertools.count():
        async with opened(app, scheme=SCHEMES[number % 2]) as connection:
            await connection.send(f"visit {number}")
            assert await connection.recv() == f"visit {number}"
        if all(each.done() for each in talks):
            return number
    raise AssertionError


@in_a_loop
async def test_a_release_ends_each_connection_in_order(app: App) -> None:
    app.commit("Nothing new")
    begun = asyncio.Barrier(OPEN + 1)
    async with asyncio.TaskGroup() as group:
        talks = [
            group.create_task(talk(app, str(number), SCHEMES[number % 2], begun))
            for number in range(OPEN)
        ]
        await begun.wait()
        group.create_task(asyncio.to_thread(app.deployed))
        assert await visits(app, talks) > 10
    assert [each.result() for each in talks] == [1012] * OPEN


@pytest.fixture
def impatient(app: App) -> Iterator[App]:
    app.does("config:set", "NGINX_PROXY_TIMEOUT=2")
    yield app
    app.does("config:unset", "NGINX_PROXY_TIMEOUT")


@pytest.mark.parametrize("scheme", SCHEMES)
@in_a_loop
async def test_an_idle_connection_is_closed(impatient: App, scheme: str) -> None:
    """One on which nothing is said for NGINX_PROXY_TIMEOUT; what either side says keeps it."""
    start, ends = time.monotonic(), list[float]()
    async with (
        opened(impatient, scheme=scheme) as idle,
        opened(impatient, scheme=scheme) as pinged,
        opened(impatient, "/silent", scheme=scheme) as heard,
    ):
        end = asyncio.create_task(ended(idle))
        end.add_done_callback(lambda _: ends.append(time.monotonic() - start))
        for _ in range(10):
            await (await pinged.ping())
            await heard.send("the app does not answer")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(heard.recv(), 0.4)
        assert await end == BROKEN
        assert 1.9 < ends[0] < 4
        await pinged.send("still here")
        assert await pinged.recv() == "still here"
        await (await heard.ping())
