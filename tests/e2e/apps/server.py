"""A `web` process for tests: says what it was started with and what it was asked, and misbehaves on request."""

import json
import os
import sys
import time
from base64 import b64encode
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

VERSION = Path("version.txt").read_text().strip() if Path("version.txt").exists() else "one"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or nginx would keep no connection to it

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if self.headers["Upgrade"] == "websocket":
            self.echo()
        elif url.path == "/health":
            self.answer(Path("health.txt").read_text(), int(Path("health.txt").read_text()))
        elif url.path == "/write":  # beside the code
            place = Path(query["file"])
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(query["text"])
            self.answer("written")
        elif url.path == "/echo":
            self.answer(self.rfile.read(int(self.headers["Content-Length"])).decode(), read=True)
        elif url.path == "/read":
            self.answer(Path(query["file"]).read_text())
        elif url.path == "/log":
            for number in range(int(query["first"]), int(query["last"]) + 1):
                print(f"line {number} of {query['text']}", flush=True)
            self.answer("logged")
        elif url.path == "/about":
            self.answer(json.dumps(self.about()))
        else:
            self.answer(VERSION)

    do_POST = do_GET

    def about(self) -> dict[str, object]:
        return {
            "version": VERSION,
            "pid": os.getpid(),
            "cwd": str(Path.cwd()),
            "env": dict(os.environ),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "connection": self.client_address[1],
            "path": self.path,
        }

    def answer(self, text: str, status: int = 200, *, read: bool = False) -> None:
        if not read:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def echo(self) -> None:
        """A WebSocket handshake (RFC 6455), then bytes back as they come."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "upgrade")
        self.send_header("Sec-WebSocket-Accept", b64encode(sha1(key.encode()).digest()).decode())  # noqa: S324
        self.end_headers()
        while data := self.connection.recv(4096):
            self.connection.sendall(data)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    if os.environ.get("CRASH"):
        print(f"crashing because CRASH={os.environ['CRASH']}", file=sys.stderr)
        sys.exit(1)
    time.sleep(float(os.environ.get("SLOW_START", "0")))
    address = os.environ["BIND_ADDRESS"], int(os.environ["PORT"])
    print(f"{VERSION} listens", flush=True)
    ThreadingHTTPServer(address, Handler).serve_forever()
