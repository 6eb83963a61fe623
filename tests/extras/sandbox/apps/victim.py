"""An app with secrets of every kind."""

import ctypes
import os
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

data, port = Path(os.environ["DATA_ROOT"]), int(os.environ["PORT"])
listening = []
for address in (str(data / "app.sock"), f"\0victim-{port}"):
    listening.append(socket.socket(socket.AF_UNIX))
    listening[-1].bind(address)
    listening[-1].listen(100)
(data / "kept.txt").write_text("kept")
for place in (f"/tmp/victim-{port}", f"/dev/shm/victim-{port}"):  # noqa: S108
    Path(place).write_text("kept")
ctypes.CDLL(None).shmget(0x7069, 4096, 0o1600)
ctypes.CDLL(None).prctl(0x59616D61, -1)  # where Yama forbids tracing: allow it to everybody


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


HTTPServer((os.environ["BIND_ADDRESS"], port), Handler).serve_forever()
