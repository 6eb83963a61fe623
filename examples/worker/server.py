"""Shows the last line that the worker wrote."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ticks = Path(os.environ.get("DATA_ROOT", "."), "ticks")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        lines = ticks.read_text().splitlines() if ticks.exists() else []
        body = f"{len(lines)} ticks, the last one: {lines[-1] if lines else 'none yet'}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    address = (os.environ.get("BIND_ADDRESS", "127.0.0.1"), int(os.environ.get("PORT", "8000")))
    ThreadingHTTPServer(address, Handler).serve_forever()
