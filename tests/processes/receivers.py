"""Receivers of log lines for tests: real sockets, and what came in."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# RFC 5424, section 6: PRI VERSION, then a time, and fields without blanks.
MESSAGE = re.compile(
    rb"<(?P<priority>\d{1,3})>1 (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<host>[!-~]{1,255})"
    rb" (?P<app>[!-~]{1,48}) (?P<process>[!-~]{1,128}) (?P<rest>- -|-) (?P<text>.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Message:
    """One message that came in."""

    app: str
    process: str
    text: str
    time: str
    heroku: bool = False

    @classmethod
    def parse(cls, raw: bytes, *, heroku: bool = False) -> Message:
        match = MESSAGE.fullmatch(raw)
        assert match is not None, raw
        assert match["priority"] == b"14"
        assert heroku or match["rest"] == b"- -", raw
        # uWSGI's own last line is now and then not what it should be, and no text.
        words = (
            match[name].decode(errors="backslashreplace")
            for name in ("app", "process", "text", "time")
        )
        return cls(*words, heroku=heroku)


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


class Http(Receiver):
    """Takes posts, as Heroku's or as lines of JSON; answers with the `statuses` first, then 200."""

    def __init__(self, *statuses: int, context: ssl.SSLContext | None = None) -> None:
        super().__init__()
        receiver = self
        self.statuses = list(statuses)
        self.requests: list[tuple[str, dict[str, str]]] = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                receiver.take(self.path, dict(self.headers), body if status == 200 else b"")
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        self.requests.append((path, headers))
        if headers["Content-Type"] == "application/x-ndjson":
            for line in body.splitlines():
                found = json.loads(line)
                self.messages.append(
                    Message(found["app"], found["process"], found["message"], found["time"])
                )
            return
        found, rest = frames(body)
        assert not rest
        assert not body or int(headers["Logplex-Msg-Count"]) == len(found)
        self.messages += [Message.parse(message, heroku=True) for message in found]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


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
