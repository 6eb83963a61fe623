"""A `web` process for tests of the doctor: it answers as badly as the address says. Where it listens at all,
a file in its data folder may say otherwise the next time that it starts."""

import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DATA = Path(os.environ["DATA_ROOT"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        host = self.headers["Host"]
        if self.path == "/exit":
            print("about to exit with 3", flush=True)
            os._exit(3)
        elif self.path == "/hang":
            time.sleep(3)
            self.answer(200)
        elif self.path == "/stuck":
            time.sleep(30)
        elif self.path == "/cookies":
            self.answer(200, **{f"Set-Cookie-{number}": "x" * 3000 for number in range(12)})
        elif self.path == "/raw":
            self.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
            self.close_connection = True
        elif self.path == "/secure":  # a framework that does not know of the proxy
            self.answer(302, Location=f"https://{secure(host)}/secure")
        elif self.path == "/plain":
            self.answer(302, Location=f"http://{plain(host)}/plain")
        elif self.path == "/round":
            self.answer(302, Location="/round/again")
        elif self.path == "/round/again":
            self.answer(302, Location="/round")
        elif self.path == "/www":
            self.answer(302, Location=f"http://www.{host}/www")
        elif self.path.startswith("/status/"):
            print(f"answers {self.path[8:]} for a reason", flush=True)
            self.answer(int(self.path[8:]))
        else:
            self.answer(200)

    def answer(self, status: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


def plain(host: str) -> str:
    return host.replace(os.environ["HTTPS"], os.environ["HTTP"])


def secure(host: str) -> str:
    return host.replace(os.environ["HTTP"], os.environ["HTTPS"])


if __name__ == "__main__":
    how = (DATA / "how").read_text() if (DATA / "how").exists() else ""
    port = int(os.environ["PORT"])
    if how == "exit":
        print("there is no database", flush=True)
        sys.exit(7)
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how.isdigit():
        ThreadingHTTPServer(("127.0.0.1", int(how)), Handler).serve_forever()
    else:
        ThreadingHTTPServer((os.environ["BIND_ADDRESS"], port), Handler).serve_forever()
