"""Who gets the alerts in these tests: a real HTTP server, which checks that they are signed."""

import base64
import contextlib
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox import HOST, Sandbox

from tests.e2e.support import App

SECRET = "whsec_" + base64.b64encode(b"only for this test").decode()


class Receiver:
    """It keeps what it is sent; `status` is what it answers, `asked` how often it was asked."""

    def __init__(self) -> None:
        self.status, self.asked = 204, 0
        self.alerts: list[dict[str, Any]] = []
        self.bodies: list[str] = []
        self.beats: list[str] = []
        self._open = threading.Event()
        self._open.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                receiver.beats.append(self.path)
                self.answer(204)

            def do_POST(self) -> None:
                receiver.asked += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signed = f"{self.headers['Webhook-Id']}.{self.headers['Webhook-Timestamp']}."
                key = base64.b64decode(SECRET.removeprefix("whsec_"))
                mac = hmac.new(key, signed.encode() + body, hashlib.sha256).digest()
                assert self.headers["Webhook-Signature"] == f"v1,{base64.b64encode(mac).decode()}"
                receiver._open.wait()
                if receiver.status == 204:
                    receiver.bodies.append(body.decode())
                    with contextlib.suppress(ValueError):
                        receiver.alerts.append(json.loads(body))
                self.answer(receiver.status)

            def answer(self, status: int) -> None:
                with contextlib.suppress(OSError):  # who asked does not wait any more
                    self.send_response(status)
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def seen(self, app: str) -> list[tuple[str, str]]:
        """The alerts of an app, or "" for the server's, in order."""
        return [(one["event"], one["what"]) for one in self.alerts if one.get("app") == app]

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes what it is sent, and answers nothing while the block runs."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def tell(server: Sandbox, receiver: Receiver) -> None:
    """Have the server send its alerts there."""
    lines = {
        "PIKU_WEBHOOK_URL": f"{receiver.url}/alerts",
        "PIKU_WEBHOOK_SECRET": SECRET,
        "PIKU_HEARTBEAT_URL": f"{receiver.url}/alive",
    }
    with (server.root / "ENV").open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in lines.items())
    look(server)


def look(server: Sandbox) -> None:
    """What happens every two minutes."""
    done = server.piku("housekeeping")
    assert done.returncode == 0, done.stderr


def arrives(app: App, receiver: Receiver, event: str, what: str, timeout: float = 60) -> str:
    """Wait until an alert of the app's has come that says this; returns all that it says."""

    def came() -> str:
        look(app.server)
        found = (text for kind, text in receiver.seen(app.name) if kind == event and what in text)
        return next(found, "")

    return app.server.wait(came, timeout, f"{event}: {what}, of {receiver.seen(app.name)}")
