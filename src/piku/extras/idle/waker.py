"""The small WSGI app that nginx asks to wake a sleeping `web` app; the platform's own, and asleep itself
while nobody needs it.

nginx keeps the request that met nobody. Once the app listens, the answer here tells nginx to pass the
request on (`X-Accel-Redirect` to a named location, which leaves method and body as they are).

The first request waits for its app in a thread. Those that come meanwhile leave their connection with it
and have no thread, so that an app that does not listen keeps no other one from waking.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from piku.errors import PikuError
from piku.extras.idle import sleeping
from piku.paths import AppName, Paths

AWAKE = "@piku-awake"
_MOST = 200  # requests that wait for one app: each takes a descriptor, of which there may be some thousand

# Of each app that is being woken, the connections of those who wait beside the first.
_waiting: dict[AppName, list[socket.socket]] = {}
_guard = threading.Lock()


class Answer(NamedTuple):
    """What nginx is told."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes = b""


_GO_ON = Answer("200 OK", [("X-Accel-Redirect", AWAKE)])
_FAILED = Answer(
    "503 Service Unavailable",
    [("Retry-After", "10"), ("Content-Type", "text/plain")],
    b"This app could not be woken up.\n",
)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Wake the app that PIKU_APP names."""
    name = AppName.parse(environ["PIKU_APP"])
    with _guard:
        others = _waiting.get(name)
        if others is None:
            _waiting[name] = []
        elif len(others) < _MOST:
            others.append(_connection())
            return []  # uWSGI closes the connection for its part, and goes on
    answer = _woken(name) if others is None else _FAILED
    start_response(answer.status, answer.headers)
    return [answer.body]


def _connection() -> socket.socket:
    """The connection of the request at hand, to be kept when uWSGI is done with it."""
    uwsgi = importlib.import_module("uwsgi")  # is there only inside of uWSGI
    return socket.socket(fileno=os.dup(uwsgi.connection_fd()))


def _woken(name: AppName) -> Answer:
    """Wake the app, and answer all who wait for it beside the caller, who is told the same."""
    answer = _FAILED
    try:
        answer = _wake(name)
    finally:
        with _guard:
            others = _waiting.pop(name)
        for connection in others:
            _send(connection, answer)
    return answer


def _wake(name: AppName) -> Answer:
    paths = Paths.from_environment(os.environ)
    try:
        took = sleeping.wake(paths, paths.app(name))
    except PikuError as error:
        print(f"{name}: {error.message}", flush=True)
        return _FAILED
    print(f"{name}: woken in {took:.2f} s", flush=True)
    return _GO_ON


def _send(connection: socket.socket, answer: Answer) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers)
    # Who asked may have left, and an answer this short never has to wait.
    with contextlib.suppress(OSError), connection:
        connection.sendall(f"HTTP/1.1 {answer.status}\r\n{head}\r\n".encode() + answer.body)
