"""Each alert arrives at a real receiver, after what it tells of has happened."""

import base64
import contextlib
import email
import hashlib
import hmac
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from sandbox import HOST, Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import App, refused, web

SECRET = "whsec_" + base64.b64encode(b"only for this test").decode()
CRASHING = "import sys\nprint('why it ended')\nsys.exit(7)\n"


class Receiver:
    """An HTTP server that keeps what it is sent; `status` is what it answers."""

    def __init__(self) -> None:
        self.status = 204
        self.alerts: list[dict[str, Any]] = []
        self.beats: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                receiver.beats.append(self.path)
                self.answer(204)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signed = f"{self.headers['Webhook-Id']}.{self.headers['Webhook-Timestamp']}."
                key = base64.b64decode(SECRET.removeprefix("whsec_"))
                mac = hmac.new(key, signed.encode() + body, hashlib.sha256).digest()
                assert self.headers["Webhook-Signature"] == f"v1,{base64.b64encode(mac).decode()}"
                if receiver.status == 204:
                    receiver.alerts.append(json.loads(body))
                self.answer(receiver.status)

            def answer(self, status: int) -> None:
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def seen(self, app: str) -> list[tuple[str, str]]:
        """The alerts of an app, or "" for the server's, in order."""
        return [(one["event"], one["what"]) for one in self.alerts if one["app"] == app]


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture(scope="module")
def told(server: Sandbox, receiver: Receiver) -> Sandbox:
    """The server, whose owner wants to be told."""
    lines = {
        "PIKU_WEBHOOK_URL": f"{receiver.url}/alerts",
        "PIKU_WEBHOOK_SECRET": SECRET,
        "PIKU_HEARTBEAT_URL": f"{receiver.url}/alive",
    }
    with (server.root / "ENV").open("a") as file:
        file.writelines(f"{name}={value}\n" for name, value in lines.items())
    look(server)
    return server


def look(server: Sandbox) -> None:
    """What happens every two minutes."""
    done = server.piku("housekeeping")
    assert done.returncode == 0, done.stderr


def arrives(app: App, receiver: Receiver, event: str, what: str) -> None:
    """Wait until an alert of the app's has come."""

    def came() -> bool:
        look(app.server)
        return (event, what) in receiver.seen(app.name)

    app.server.wait(came, 60, f"{event}: {what}, of {receiver.seen(app.name)}")


def test_deploys(told: Sandbox, receiver: Receiver, new_app: NewApp) -> None:
    app = new_app("shop")
    told.wait(lambda: receiver.seen("shop"))  # by itself, after the deploy
    app.commit("It ends", server_py=CRASHING)
    app.failed()
    told.wait(lambda: len(receiver.seen("shop")) > 1)
    [(first, live), (second, failed)] = receiver.seen("shop")
    assert (first, second) == ("live", "failed")
    assert "v1 (" in live and "v2 (It ends" in failed
    detail = next(one["detail"] for one in receiver.alerts if one["what"] == failed)
    assert "web.1" in " ".join(detail)
    look(told)
    assert len(receiver.seen("shop")) == 2  # once


def test_a_worker_that_keeps_being_killed(
    told: Sandbox, receiver: Receiver, new_app: NewApp
) -> None:
    files = {**web("hit", procfile="worker: exec python3 -IS hit-worker.py\n")}
    files["hit-worker.py"] = "import os, time\nprint('begins', flush=True)\ntime.sleep(9999)\n"
    app = new_app("hit", files)
    enough = threading.Event()

    def kill() -> None:
        while not enough.wait(0.3):
            for process in told.processes():
                if "hit-worker.py" in str(process):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    try:
        told.wait(lambda: look(told) or "problem" in dict(receiver.seen("hit")), 60)
    finally:
        enough.set()
        killing.join()
    what = next(what for event, what in receiver.seen("hit") if event == "problem")
    assert "worker.1 keeps ending" in what
    arrives(app, receiver, "solved", f"over: {what}")  # once it has run for long enough


def test_a_job_that_fails(told: Sandbox, receiver: Receiver, new_app: NewApp) -> None:
    app = new_app("jobs", web("jobs", procfile="cron-report: 0 0 1 1 * test -e good\n"))
    assert app.says("cron:run", "report").returncode == 1
    arrives(app, receiver, "problem", "cron-report failed with exit code 1")
    (told.root / "apps" / "jobs" / "good").touch()
    assert app.says("cron:run", "report").returncode == 0
    arrives(app, receiver, "solved", "over: cron-report failed with exit code 1")


def test_a_certificate_that_expires(told: Sandbox, receiver: Receiver, new_app: NewApp) -> None:
    app = new_app("secure")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "5", "-subj", "/CN=x", "-addext", f"subjectAltName=DNS:{app.host}",
         "-keyout", "-", "-out", "-"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    said = told.piku("certs:add", "secure", "-", input=made)
    assert said.returncode == 0, said.stderr
    arrives(app, receiver, "problem", "its certificate expires in 5 days")


def test_what_nobody_takes_is_sent_again(
    told: Sandbox, receiver: Receiver, new_app: NewApp
) -> None:
    receiver.status = 500
    new_app("again")
    waiting = told.root / "alerts.json"
    told.wait(lambda: '"attempts": 1' in waiting.read_text())
    assert not receiver.seen("again")
    assert "not delivered" in told.piku("alerts").stdout
    receiver.status = 204
    state = json.loads(waiting.read_text())
    for one in state["pending"]:
        one["due"] = 0
    new = waiting.with_suffix(".new")
    new.write_text(json.dumps(state))
    new.replace(waiting)
    look(told)
    assert [event for event, _ in receiver.seen("again")] == ["live"]
    assert json.loads(waiting.read_text())["pending"] == []


def test_the_heartbeat_stops_while_something_is_wrong(
    told: Sandbox, receiver: Receiver, new_app: NewApp
) -> None:
    app = new_app("calm", web("calm", procfile="cron-often: 0 0 1 1 * false\n"))
    app.does("config:set", f"PIKU_HEARTBEAT_URL={receiver.url}/calm")
    told.wait(lambda: "/calm" in receiver.beats)
    assert app.says("cron:run", "often").returncode == 1
    arrives(app, receiver, "problem", "cron-often failed with exit code 1")
    before = receiver.beats.count("/calm")
    look(told)
    assert receiver.beats.count("/calm") == before


def test_a_test_alert(told: Sandbox, receiver: Receiver) -> None:
    said = told.piku("alerts:test")
    assert said.stdout == "the webhook took it\n"
    assert receiver.seen("")[-1] == ("test", "this is a test: alerts arrive")
    receiver.status = 404
    try:
        refused(told.piku("alerts:test"), 1, "the webhook did not take it", "answered 404")
    finally:
        receiver.status = 204
    shown = told.piku("alerts").stdout
    assert f"the server: webhook at {receiver.url.removeprefix('http://')} (json, signed)" in shown
    assert SECRET not in shown


def test_mail(own_server: Sandbox, tmp_path: Path) -> None:
    """Through whatever is called sendmail, which takes a message on its standard input."""
    sendmail, taken = tmp_path / "sendmail", tmp_path / "taken"
    sendmail.write_text(f'#!/bin/sh\necho "$@" >{taken}\ncat >>{taken}\n')
    sendmail.chmod(0o755)
    with (own_server.root / "ENV").open("a") as file:
        file.write("PIKU_ALERT_MAIL=ada@example.com\n")
    path = f"{tmp_path}:{own_server.server_env()['PATH']}"
    said = own_server.piku("alerts:test", env={"PATH": path})
    assert said.stdout == "the mail took it\n", said.stderr
    options, _, message = taken.read_text().partition("\n")
    assert options == "-i -t"
    found = email.message_from_string(message)
    assert found["To"] == "ada@example.com"
    assert found["Subject"] == "[piku] this is a test: alerts arrive"
    assert "this is a test" in str(found.get_payload())
