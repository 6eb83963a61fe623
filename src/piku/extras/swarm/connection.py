"""HTTP over the socket of the engine; loaded when it is asked something, for it takes 10 ms."""

import http.client
import socket

FAILED = (OSError, http.client.HTTPException, ValueError)


class Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
