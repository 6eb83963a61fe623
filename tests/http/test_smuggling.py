"""Request smuggling: what nginx and an app could read differently never becomes a second request.

A hostile request carries a whole second one, which the app would log and answer if it took it for
one. On the same connection an ordinary request follows, so that one answer too many is seen, too.
"""

from __future__ import annotations

import itertools
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sandbox import HOST

from tests.e2e.support import App

NUMBERS = itertools.count()
FOLLOWING = 4  # nginx has some workers, each with connections of its own to the app
LAST = ("/last", 0)
CLOSED = 0  # no answer: nginx closes the connection
# A GET may use a connection to the app that nginx keeps, a POST has one of its own.
METHODS = ("POST", "GET")


def request(host: str, path: str, *headers: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", f"Host: {host}", *headers, "", "")).encode()


def chunk(body: bytes, *, size: str = "%x", after: str = "\r\n", end: str = "0\r\n\r\n") -> bytes:
    """A chunked body of one chunk: its size, what follows the size, and what follows the chunk."""
    first = (size % len(body) if "%" in size else size) + after
    return first.encode() + body + f"\r\n{end}".encode()


@dataclass(frozen=True, kw_only=True)
class Case:
    """`head` follows the line of the request; in it "{n}" is the length of the body, "{host}" the
    app's. `body` makes a body that holds the second request. `statuses` are what may come back."""

    name: str
    head: str
    body: Callable[[bytes], bytes] = bytes
    statuses: tuple[int, ...] = (400,)
    line: str = "{method} {path} HTTP/1.1"

    def request(self, method: str, path: str, second: bytes, host: str) -> bytes:
        body = self.body(second)
        line = self.line.format(method=method, path=path, host=host)
        head = self.head.format(n=len(body), host=host)
        return f"{line}\r\n{head}\r\n\r\n".encode("latin-1") + body


def case(name: str, *headers: str, **others: Any) -> Case:
    """A case with the app's host."""
    return Case(name=name, head="\r\n".join(("Host: {host}", *headers)), **others)


CHUNKED = "Transfer-Encoding: chunked"
SIZED = "Content-Length: {n}"
CASES = (
    # Both ways to end a body, and each said in a way that some programs do not read.
    case("CL.TE", SIZED, CHUNKED, body=lambda second: b"0\r\n\r\n" + second),
    case("TE.CL", CHUNKED, "Content-Length: 4", body=chunk),
    case("two lengths", SIZED, "Content-Length: 0"),
    case("the same length twice", SIZED, SIZED),
    case("a list of lengths", "Content-Length: {n}, {n}"),
    case("a length with a sign", "Content-Length: +{n}"),
    case("a negative length", "Content-Length: -1"),
    case("a hexadecimal length", "Content-Length: 0x{n}"),
    case("a length beyond 64 bits", "Content-Length: 18446744073709551617"),
    case("chunked twice", CHUNKED, CHUNKED, body=chunk),
    case("an unknown coding", "Transfer-Encoding: xchunked", body=chunk, statuses=(501,)),
    case("a list of codings", "Transfer-Encoding: identity, chunked", body=chunk, statuses=(501,)),
    case("a tab before the coding", "Transfer-Encoding:\tchunked", body=chunk, statuses=(501,)),
    case("a vertical tab before it", "Transfer-Encoding: \vchunked", body=chunk, statuses=(501,)),
    case("chunked in HTTP/1.0", CHUNKED, body=chunk, line="{method} {path} HTTP/1.0"),
    # Lines of the head.
    case("a folded line", SIZED, "X-Fold: a", f" {CHUNKED}"),
    case("a space before the colon", "Content-Length : {n}"),
    case("a space after chunked's name", "Transfer-Encoding : chunked", SIZED),
    case("NUL in a header", SIZED, "X-Nul: a\0b"),
    case("CR in a header", SIZED, f"X-Return: a\r{CHUNKED}"),
    case("lines that end in LF", f"X-Feed: a\n{SIZED}", statuses=(200,)),
    case("a length with an underscore", SIZED, "Content_Length: 0", statuses=(200,)),
    case("a length that is for one hop", SIZED, "Connection: Content-Length", statuses=(200,)),
    case("an upgrade with a body", SIZED, "Connection: Upgrade", "Upgrade: TLS/1.0", statuses=(200,)),
    # Chunks.
    case("a chunk's size with 0x", CHUNKED, body=lambda second: chunk(second, size="0x%x")),
    case("a chunk's size with a sign", CHUNKED, body=lambda second: chunk(second, size="+%x")),
    case("a negative chunk", CHUNKED, body=lambda second: chunk(second, size="-1")),
    case("a chunk beyond 64 bits", CHUNKED, body=lambda second: chunk(second, size="10000000000000001")),
    case("a chunk that is longer than its size", CHUNKED, body=lambda second: chunk(second, size="3")),
    case("a chunk with an extension", CHUNKED, body=lambda second: chunk(second, size='%x;a="b"'), statuses=(200,)),
    case("a size that ends in LF", CHUNKED, body=lambda second: chunk(second, after="\n"), statuses=(200, 400)),
    case("trailers", CHUNKED, body=lambda second: chunk(second, end="0\r\nContent-Length: 0\r\n\r\n"), statuses=(200,)),
    # Hosts.
    case("two hosts", SIZED, "Host: {host}"),
    Case(name="no host", head=SIZED),
    Case(name="another host in the header", head=f"Host: other.localhost\r\n{SIZED}", statuses=(200,), line="{method} http://{host}{path} HTTP/1.1"),
    case("another host in the first line", SIZED, statuses=(CLOSED,), line="{method} http://other.localhost{path} HTTP/1.1"),
)  # fmt: skip


def answers(app: App, *requests: bytes) -> tuple[list[int], list[tuple[str, int]]]:
    """The statuses of all that comes back on one connection; of what the app echoed, the address
    and the length of the body."""
    with socket.create_connection((HOST, app.server.http_port), 10) as client:
        client.sendall(b"".join(requests))
        with client.makefile("rb") as stream:
            data = stream.read().decode()
    statuses = [int(status) for status in re.findall(r"HTTP/1\.[01] (\d{3}) ", data)]
    lengths = map(int, re.findall(r'"length": ?(\d+)', data))
    return statuses, list(zip(re.findall(r'"target": ?"([^"]*)"', data), lengths, strict=True))


def logged(app: App) -> list[str]:
    """The addresses of all requests that the app's own server logged: not nginx, which logs, too."""
    logs = (app.server.root / "logs" / app.name).glob("*.log")
    texts = [each.read_text(errors="replace") for each in logs if each.stem != "nginx"]
    return re.findall(r"\b(?:GET|POST) (/\S*)", "\n".join(texts))


@pytest.fixture(scope="module", params=("true", "false"), ids=("whole", "as-it-comes"))
def app(request: pytest.FixtureRequest, apps: dict[str, App], kind: str) -> Iterator[App]:
    """An app that gets uploads whole, which is the default, or as they come."""
    app = apps[kind]
    app.does("config:set", f"NGINX_REQUEST_BUFFERING={request.param}")
    yield app
    assert not [path for path in logged(app) if path.startswith("/smuggled")]  # late ones, too
    app.does("config:unset", "NGINX_REQUEST_BUFFERING")


@pytest.mark.parametrize("method", METHODS)
def test_a_second_request_that_is_none_of_these_is_seen(app: App, method: str) -> None:
    """That the checks below can fail: two requests, one after the other, are two to all."""
    first, second = (f"/{name}-{next(NUMBERS)}" for name in ("first", "second"))
    ordinary = case("ordinary", "Content-Length: 0")
    last = request(app.host, LAST[0], "Connection: close")
    both = ordinary.request(method, first, request(app.host, second), app.host)
    assert answers(app, both, last) == ([200, 200, 200], [(first, 0), (second, 0), LAST])
    app.server.wait(lambda: second in logged(app))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("hostile", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_a_hostile_request(app: App, hostile: Case, method: str) -> None:
    number = next(NUMBERS)
    path, smuggled, after = (f"/{name}-{number}" for name in ("hostile", "smuggled", "after"))
    second = request(app.host, smuggled)
    last = request(app.host, LAST[0], "Connection: close")
    statuses, echoed = answers(app, hostile.request(method, path, second, app.host), last)
    assert (statuses[0] if statuses else CLOSED) in hostile.statuses
    if statuses[:1] == [200]:  # the second request is a body, and nothing else
        assert (statuses, echoed) == ([200, 200], [(path, len(second)), LAST])
    else:  # and the connection has ended
        assert (len(statuses) <= 1, echoed) == (True, [])
    for _ in range(FOLLOWING):
        assert f'"{after}"' in app.body(after)
    app.server.wait(lambda: after in logged(app))
    assert smuggled not in logged(app)
