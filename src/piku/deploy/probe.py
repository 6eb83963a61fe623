"""Asking a process that serves, as nginx would."""

from __future__ import annotations

import re
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from piku.app import settings
from piku.deploy.releases import Process
from piku.uwsgi import ini

if TYPE_CHECKING:
    from piku.deploy.deployment import Deployment

_TIMEOUT = 10.0  # seconds for one answer
_CLOSED = 502  # the status for a connection that was closed without an answer


@dataclass(frozen=True, kw_only=True)
class Check:
    """How to ask a process that serves (docs/settings.md, PIKU_HEALTHCHECK).

    `strict`: the path was chosen by the app's owner, and must be answered below 500.
    `connect_only`: a connection is enough.
    """

    path: str
    host: str
    strict: bool = False
    connect_only: bool = False

    @classmethod
    def of(cls, deployment: Deployment) -> Check:
        names = settings.SERVER_NAME.read(deployment.values)
        path = settings.HEALTHCHECK_PATH.read(deployment.values)
        return cls(
            path=path or "/",
            host=names[0].removeprefix("*.").partition("/")[0] if names else "localhost",
            strict=bool(path),
            connect_only=settings.HEALTHCHECK.read(deployment.values) == "tcp",
        )


def accepts(address: str) -> bool:
    """Whether anybody listens at "ADDRESS:PORT" or a socket's path; wakes a vassal that sleeps."""
    try:
        with _connect(address, timeout=1):
            return True
    except OSError:
        return False


def ask(process: Process, check: Check) -> int:
    """The status of a GET request made to the process itself; 0 when it gives none."""
    request = (
        _uwsgi_request(check, ini.MODIFIERS[process.kind])
        if process.by_socket
        else f"GET {check.path} HTTP/1.1\r\nHost: {check.host}\r\n"
        "User-Agent: piku\r\nConnection: close\r\n\r\n".encode()
    )
    try:
        with _connect(process.address, timeout=_TIMEOUT) as client:
            client.sendall(request)
            answer = client.recv(4096)
    except OSError:
        return 0
    if found := re.match(rb"HTTP/\S+ (\d{3})", answer):
        return int(found[1])
    # uWSGI closes the connection when an application raises an error; nginx makes that a 502.
    return 0 if answer else _CLOSED


def _connect(address: str, *, timeout: float) -> socket.socket:
    host, _, port = address.rpartition(":")
    if port.isdigit():
        return socket.create_connection((host, int(port)), timeout)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(timeout)
    client.connect(address)
    return client


def _uwsgi_request(check: Check, modifier: int) -> bytes:
    # uWSGI documentation, "The uwsgi Protocol": modifier1, size, modifier2, then sized pairs.
    path, _, query = check.path.partition("?")
    pairs = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query,
        "REQUEST_URI": check.path,
        "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": check.host, "SERVER_NAME": check.host,
        "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1", "HTTP_USER_AGENT": "piku",
    }  # fmt: skip
    words = (part.encode() for pair in pairs.items() for part in pair)
    body = b"".join(struct.pack("<H", len(word)) + word for word in words)
    return struct.pack("<BHB", modifier, len(body), 0) + body
