"""Receivers of log lines for tests: real sockets, and what came in."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# RFC 5424, section 6: PRI VERSION, then a time, and fields without blanks.
MESSAGE = re.compile(
    rb"<(?P<priority>\d{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:Z|[+-]\d\d:\d\d)) (?P<host>[!-~]{1,255})"
    rb" (?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) - - (?P<text>.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Message:
    """One message that came in."""

    app: str
    process: str
    text: str
    time: str

    @classmethod
    def parse(cls, raw: bytes) -> Message:
        match = MESSAGE.fullmatch(raw)
        assert match is not None and match["priority"] == b"14", raw
        words = (match[name].decode() for name in ("app", "process", "text", "time"))
        return cls(*words)


def frames(data: bytes) -> tuple[list[bytes], bytes]:
    """What octet counting (RFC 6587) has put together, and what is not complete yet."""
    found = []
    while match := re.match(rb"([1-9][0-9]*) ", data):
        end = match.end() + int(match[1])
        if len(data) < end:
            break
        found.append(data[match.end() : end])
        data = data[end:]
    return found, data


class Receiver:
    """What has come in, whichever way."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.port = 0

    def texts(self, process: str = "", app: str = "") -> list[str]:
        wanted = list(self.messages)
        return [m.text for m in wanted if process in ("", m.process) and app in ("", m.app)]

    def close(self) -> None:
        raise NotImplementedError


class Udp(Receiver):
    def __init__(self) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        while (data := self._socket.recv(65536)) != b"end":
            self.messages.append(Message.parse(data))
        self._socket.close()

    def close(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"end", ("127.0.0.1", self.port))


class Tcp(Receiver):
    """A syslog server; with a context over TLS. `deaf`: it takes connections, and never reads."""

    def __init__(
        self, port: int = 0, context: ssl.SSLContext | None = None, *, deaf: bool = False
    ) -> None:
        super().__init__()
        self._context, self._deaf = context, deaf
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        self.refused: list[str] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections.append(connection)
                if not self._deaf:
                    threading.Thread(target=self._receive, args=(connection,), daemon=True).start()

    def _receive(self, connection: socket.socket) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
                self.connections.append(connection)
            rest = b""
            while data := connection.recv(65536):
                found, rest = frames(rest + data)
                self.messages += map(Message.parse, found)
        except ssl.SSLError as error:
            self.refused.append(str(error))
        except OSError:  # we were closed
            pass

    def close(self) -> None:
        for one in (self._listener, *self.connections):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextlib.contextmanager
def closing(*receivers: Receiver) -> Iterator[None]:
    """Close them at the end."""
    try:
        yield
    finally:
        for one in receivers:
            one.close()


def authority(folder: Path, *names: str) -> tuple[str, ssl.SSLContext]:
    """The certificate of an authority of our own, and a server's context with one of it for these names."""
    folder.mkdir(parents=True, exist_ok=True)
    ca, key, chain = (folder / name for name in ("ca.pem", "key.pem", "chain.pem"))
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
           "-days", "2"]  # fmt: skip
    ca_key = folder / "ca-key.pem"
    own = [
        "-subj",
        "/CN=Our own",
        "-keyout",
        ca_key,
        "-out",
        ca,
        "-addext",
        "keyUsage=critical,keyCertSign",
    ]
    theirs = ["-subj", "/CN=receiver", "-keyout", key, "-out", chain, "-CA", ca, "-CAkey", ca_key,
              "-addext", f"subjectAltName={','.join(names)}", "-addext", "basicConstraints=critical,CA:FALSE"]  # fmt: skip
    for options in (own, theirs):
        subprocess.run([*new, *options], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return ca.read_text(), context
