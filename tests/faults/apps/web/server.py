"""Answers with its version; /slow takes a second, /slow?3 three. It knows nothing of signals: SIGTERM just ends it."""

import os
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = Path(__file__).with_name("version").read_bytes()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        if self.path.startswith("/slow"):
            time.sleep(float(self.path.partition("?")[2] or 1))
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(VERSION)))
        self.end_headers()
        self.wfile.write(VERSION)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: thousands of lines would be the load's, not the app's."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128


time.sleep(float(os.environ.get("START_DELAY", "0")))
Server((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])), Handler).serve_forever()
