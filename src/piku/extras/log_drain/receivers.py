"""Connections to those who receive log lines: datagrams, a stream (TLS if asked for), or HTTP."""

from __future__ import annotations

import functools
import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from piku.extras.log_drain import syslog
from piku.extras.log_drain.setting import LOGPLEX, TLS, UDP, Drain

if TYPE_CHECKING:
    import ssl

TIMEOUT = 10.0  # seconds for a connection, or for what is sent at once
# A receiver's kernel keeps some 200 kB of datagrams until it has read them.
_AT_ONCE, _BREATH = 16384, 0.002
_DATAGRAMS_AGE = (
    300.0  # seconds until the name is looked up again: nobody would tell that it has moved
)


class Receiver(Protocol):
    """A connection that has been made."""

    def send(self, messages: Sequence[bytes]) -> None:
        """Hand these over; raises OSError when that did not work."""

    def close(self) -> None:
        """End it."""


class Refused(OSError):
    """It answered, and did not take the lines; `final` when it would not take them later either."""

    def __init__(self, status: int) -> None:
        super().__init__(f"it answered {status}")
        self.final = 400 <= status < 500 and status not in (401, 403, 408, 429)


def connect(drain: Drain, ca: str, token: str) -> Receiver:
    """A new connection; raises OSError. `ca` are certificates to trust beside the system's."""
    try:
        if drain.kind == UDP:
            return _Datagrams(drain)
        if not drain.path:
            return _Stream(drain, ca)
        return _Http(drain, ca, token)
    except ValueError as error:  # a host name that cannot be looked up
        raise OSError(str(error)) from None


@functools.lru_cache(maxsize=8)
def trusting(ca: str) -> ssl.SSLContext:
    """The rules by which a receiver's certificate is checked; raises ssl.SSLError, ValueError."""
    import ssl  # 3 MB, which most servers do not need

    context = ssl.create_default_context()
    if ca:
        context.load_verify_locations(cadata=ca)
    return context


class _Datagrams:
    def __init__(self, drain: Drain) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(
            drain.host, drain.port, type=socket.SOCK_DGRAM
        )[0]
        self._socket = socket.socket(family, kind, protocol)
        self._socket.settimeout(TIMEOUT)
        self._socket.connect(address)
        self._made = time.monotonic()

    def send(self, messages: Sequence[bytes]) -> None:
        if time.monotonic() - self._made > _DATAGRAMS_AGE:
            raise TimeoutError("due to be made anew")
        sent = 0
        for message in messages:
            self._socket.send(message)
            sent += len(message)
            if sent > _AT_ONCE:
                sent = 0
                time.sleep(_BREATH)

    def close(self) -> None:
        self._socket.close()


class _Stream:
    def __init__(self, drain: Drain, ca: str) -> None:
        self._socket = socket.create_connection((drain.host, drain.port), TIMEOUT)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._nothing: tuple[type[OSError], ...] = (BlockingIOError,)
        if drain.kind == TLS:
            import ssl

            self._nothing += (ssl.SSLWantReadError,)
            try:
                self._socket = trusting(ca).wrap_socket(self._socket, server_hostname=drain.host)
            except OSError:
                self._socket.close()
                raise

    def send(self, messages: Sequence[bytes]) -> None:
        if self._was_closed():
            raise ConnectionResetError("the connection was closed")
        self._socket.sendall(syslog.framed(messages))

    def _was_closed(self) -> bool:
        """Whether the other side has closed it: what is sent then is lost without a word."""
        self._socket.settimeout(0)
        try:
            return not self._socket.recv(4096)
        except self._nothing:
            return False
        finally:
            self._socket.settimeout(TIMEOUT)

    def close(self) -> None:
        self._socket.close()


class _Http:
    def __init__(self, drain: Drain, ca: str, token: str) -> None:
        from http import client

        self._client, self._drain, self._token = client, drain, token
        self._frames = 0
        self._connection = (
            client.HTTPSConnection(drain.host, drain.port, timeout=TIMEOUT, context=trusting(ca))
            if drain.secure
            else client.HTTPConnection(drain.host, drain.port, timeout=TIMEOUT)
        )
        self._connection.connect()

    def send(self, messages: Sequence[bytes]) -> None:
        import base64

        kind = self._drain.kind
        self._frames += 1
        frame = f"{id(self):x}-{time.time_ns():x}-{self._frames}" if kind == LOGPLEX else ""
        headers = {"User-Agent": "piku", **syslog.headers(kind, messages, self._token, frame)}
        if self._drain.user:
            headers["Authorization"] = (
                f"Basic {base64.b64encode(self._drain.user.encode()).decode()}"
            )
        try:
            self._connection.request("POST", self._drain.path, syslog.body(kind, messages), headers)
            answer = self._connection.getresponse()
            answer.read(1 << 16)
        except self._client.HTTPException as error:
            raise OSError(f"it does not speak HTTP ({type(error).__name__})") from None
        if not 200 <= answer.status < 300:
            raise Refused(answer.status)

    def close(self) -> None:
        self._connection.close()
