"""A web server: any program that listens where Piku tells it to can be `web`.

Piku says where in BIND_ADDRESS and PORT, and stops it with SIGTERM. This one then answers open
requests and exits, so no request is lost when a new release takes over.
"""

import contextlib
import os
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType
from typing import Any

GREETING = "Hello from a web process"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open for the next request
    disable_nagle_algorithm = True  # the body need not wait until its head has arrived

    def do_GET(self) -> None:
        body = f"{GREETING}, release {os.environ.get('PIKU_RELEASE', 'unknown')}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for requests in progress
    request_queue_size = 128

    def __init__(self, address: tuple[str, int]) -> None:
        super().__init__(address, Handler)
        self.connections: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=self.shutdown).start()

    def close(self) -> None:
        """Accept no more connections and requests; return when the last answer is sent."""
        self.socket.close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):  # it has ended already
                connection.shutdown(socket.SHUT_RD)
        self.server_close()


if __name__ == "__main__":
    server = Server(
        (os.environ.get("BIND_ADDRESS", "127.0.0.1"), int(os.environ.get("PORT", "8000")))
    )
    signal.signal(signal.SIGTERM, server.stop)
    server.serve_forever(poll_interval=0.05)
    server.close()
