"""Apps that sleep while nobody asks for them."""

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.support import App, web

WSGI = """\
import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [str(os.getpid()).encode()]
"""

# Counts every order; says "ok", breaks off, crashes, takes its time to start or never listens, as it is told.
SLOW = """\
import os, pathlib, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
data = pathlib.Path(os.environ["DATA_ROOT"])
if (data / "helper").exists():
    subprocess.Popen(["sleep", "4242"], start_new_session=True)
if (data / "crash").exists():
    sys.exit("no database")
time.sleep(float((data / "start").read_text()) if (data / "start").exists() else 0)
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"ok")
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(data / "orders", "ab") as file:
            file.write(body)
        if self.path == "/crash":
            os._exit(3)
        if self.path != "/cut":
            self.do_GET()
    def log_message(self, *args):
        pass
class Server(ThreadingHTTPServer):
    request_queue_size = 100
Server((os.environ["BIND_ADDRESS"], int(os.environ["PORT"])), Handler).serve_forever()
"""


def napping(new_app: Callable[..., App], name: str, *, idle: int = 1) -> App:
    """A `web` app that sleeps when it is told to, with a folder of data in which a test tells it what to do."""
    env = f"NGINX_SERVER_NAME={name}.localhost\nUWSGI_IDLE={idle}\n"
    files = {"Procfile": "web: exec python3 -IS slow.py\n", "slow.py": SLOW, "ENV": env}
    app = new_app(name, files)
    app.data.mkdir(exist_ok=True)
    app.server.hold_ports()
    return app


def put_to_sleep(app: App) -> None:
    """Have it sleep, and wait until nothing listens any more."""

    def sleeps() -> bool:
        assert (
            app.server.piku("housekeeping").returncode == 0
        )  # what its vassal calls every two minutes
        row = app.ps()["web.1"]
        return bool(row["state"] == "asleep" and not row["pid"])

    app.server.wait(sleeps, timeout=20)


def helpers(app: App) -> list[int]:
    """The processes that an app started and left behind."""
    found = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [
        int(entry.name)
        for entry in found
        if b"sleep\x004242" in command(entry) and is_of(entry, app)
    ]


def command(entry: Path) -> bytes:
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


def is_of(entry: Path, app: App) -> bool:
    try:
        return f"PIKU_PROCESS={app.name}@".encode() in (entry / "environ").read_bytes()
    except OSError:
        return False


def test_a_wsgi_app_sleeps_and_the_first_request_wakes_it(new_app: Callable[..., App]) -> None:
    settings = "NGINX_SERVER_NAME=drowsy.localhost\nUWSGI_IDLE=2\n"
    app = new_app("drowsy", {"Procfile": "wsgi: app:app\n", "app.py": WSGI, "ENV": settings})
    app.server.wait(lambda: app.body() and app.ps()["wsgi.1"]["state"] == "up")
    first = app.body()
    app.server.wait(lambda: app.ps()["wsgi.1"]["state"] == "asleep")
    assert (app.ps()["wsgi.1"]["pid"], app.ps()["wsgi.1"]["memory"]) == (0, 0)
    begun = time.monotonic()
    second = app.body()
    assert app.status() == 200 and second != first
    assert time.monotonic() - begun < 15
    # What sleeps can be deployed, restarted, stopped and started like any other.
    app.server.wait(lambda: app.ps()["wsgi.1"]["state"] == "asleep")
    app.does("restart")
    assert app.status() == 200
    app.server.wait(lambda: app.ps()["wsgi.1"]["state"] == "asleep")
    app.commit(**{"app.py": WSGI.replace("getpid()", "getppid()")})
    app.deployed()
    app.server.wait(lambda: app.ps()["wsgi.1"]["state"] == "asleep")
    app.does("stop")
    assert app.status() == 503 and app.ps() == {}
    app.does("restart")
    assert app.status() == 200


def test_one_that_does_not_load_is_found_although_it_would_sleep(
    new_app: Callable[..., App],
) -> None:
    settings = "NGINX_SERVER_NAME=dead.localhost\nUWSGI_IDLE=2\n"
    files = {
        "Procfile": "wsgi: app:app\n",
        "app.py": "raise RuntimeError('not today')\n",
        "ENV": settings,
    }
    app = new_app("dead", files, push=False)
    said = app.push()
    assert said.returncode != 0 and "not today" in said.stdout + said.stderr


def test_a_web_app_sleeps_and_the_first_request_wakes_it(new_app: Callable[..., App]) -> None:
    app = new_app("siesta", web("siesta"), push=False)
    app.commit(ENV="NGINX_SERVER_NAME=siesta.localhost\nUWSGI_IDLE=1\n")
    app.deployed()
    server = app.server
    server.hold_ports()
    first = app.about()["pid"]

    def sleeps() -> bool:
        assert (
            server.piku("housekeeping").returncode == 0
        )  # what its vassal calls every two minutes
        return bool(app.ps()["web.1"]["state"] == "asleep")

    server.wait(sleeps, timeout=20)
    server.wait(lambda: not Path(f"/proc/{first}").exists())
    # A body and a method arrive as they were sent.
    status, _, body = server.get("siesta.localhost", "/echo", method="POST", body=b"wake up")
    assert (status, body) == (200, b"wake up")
    assert app.about()["pid"] != first
    said = app.asked("logs", "--no-follow").stdout
    assert re.search(r"woken by a request, ready after [0-9.]+ s", said)
    # Many at once wake it once, and all are answered.
    server.wait(sleeps, timeout=20)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: server.get("siesta.localhost")[0], range(16)))
    assert found == [200] * 16
    # What sleeps is restarted and deployed like any other, and is awake then.
    server.wait(sleeps, timeout=20)
    app.does("restart")
    assert app.status() == 200
    server.wait(sleeps, timeout=20)
    app.commit(version_txt="two")
    app.deployed()
    assert app.body() == "two"
    server.wait(sleeps, timeout=20)
    app.does("stop")
    assert app.status() == 503


def test_what_an_awake_app_breaks_off_is_not_sent_again(new_app: Callable[..., App]) -> None:
    app = napping(new_app, "orders", idle=300)
    env = "NGINX_SERVER_NAME=orders.localhost\nUWSGI_IDLE=300\nNGINX_ERROR_PAGES=502:oops.html\n"
    app.commit(oops_html="Sorry.", ENV=env)
    app.deployed()
    for number, path in enumerate(("/cut", "/crash"), 1):
        begun = time.monotonic()
        status, _, body = app.server.get("orders.localhost", path, method="POST", body=b"x")
        assert (status, body) == (502, b"Sorry.")
        assert time.monotonic() - begun < 30
        app.server.wait(lambda: app.status() == 200)
        assert (app.data / "orders").read_text() == "x" * number


def test_an_app_that_does_not_wake_keeps_no_other_from_it(new_app: Callable[..., App]) -> None:
    dead, good = napping(new_app, "coma"), napping(new_app, "fit")
    put_to_sleep(dead)
    put_to_sleep(good)
    (dead.data / "start").write_text("3600")
    (good.data / "start").write_text("2")
    with ThreadPoolExecutor(60) as pool:
        for _ in range(30):
            pool.submit(lambda: dead.server.get("coma.localhost", timeout=4))
        time.sleep(1)
        begun = time.monotonic()
        found = list(pool.map(lambda _: good.status(), range(20)))
        assert found == [200] * 20 and time.monotonic() - begun < 30


def test_an_app_that_ends_when_it_is_woken_is_not_waited_for(new_app: Callable[..., App]) -> None:
    app = napping(new_app, "broken")
    put_to_sleep(app)
    (app.data / "crash").touch()
    begun = time.monotonic()
    status, headers, _ = app.server.get("broken.localhost")
    assert (status, headers["Retry-After"]) == (503, "10")
    assert time.monotonic() - begun < 30
    (app.data / "crash").unlink()
    app.server.wait(lambda: app.status() == 200)


def test_one_that_is_being_woken_is_not_put_to_sleep(new_app: Callable[..., App]) -> None:
    app = napping(new_app, "slowly")
    put_to_sleep(app)
    (app.data / "start").write_text("6")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: app.server.get("slowly.localhost", timeout=30)[0])
        begun = time.monotonic()
        while not answer.done() and time.monotonic() - begun < 20:
            assert app.server.piku("housekeeping").returncode == 0
            time.sleep(0.5)
        assert answer.result() == 200


def test_a_restart_ends_its_sleep(new_app: Callable[..., App]) -> None:
    app = napping(new_app, "roused")
    put_to_sleep(app)
    app.does("restart")
    # nginx would have the waker answer each request.
    assert not (app.server.root / "nginx" / f"{app.name}@asleep").exists()


def test_what_a_program_started_ends_when_it_sleeps(new_app: Callable[..., App]) -> None:
    app = napping(new_app, "helped")
    (app.data / "helper").touch()
    app.does("restart")
    # A request wakes it, should it sleep already.
    app.server.wait(lambda: app.status() == 200 and len(helpers(app)) == 1)
    put_to_sleep(app)
    app.server.wait(lambda: not helpers(app))
    assert app.status() == 200 and len(helpers(app)) == 1
    app.does("stop")
    app.server.wait(lambda: not helpers(app))


def test_what_a_wsgi_app_started_ends_when_it_sleeps(new_app: Callable[..., App]) -> None:
    code = "import subprocess\nsubprocess.Popen(['sleep', '4242'], start_new_session=True)\n" + WSGI
    settings = "NGINX_SERVER_NAME=leaving.localhost\nUWSGI_IDLE=4\n"
    app = new_app("leaving", {"Procfile": "wsgi: app:app\n", "app.py": code, "ENV": settings})
    begun = time.monotonic()
    assert app.status() == 200 and helpers(app)
    assert app.server.piku("housekeeping").returncode == 0
    assert helpers(app) or time.monotonic() - begun > 4  # it sleeps by now
    app.server.wait(lambda: app.ps()["wsgi.1"]["state"] == "asleep")
    assert app.server.piku("housekeeping").returncode == 0
    assert not helpers(app)
    assert app.status() == 200 and len(helpers(app)) == 1
    app.does("stop")
    app.server.wait(lambda: not helpers(app))


def test_a_push_that_fails_waits_for_no_process_that_sleeps(new_app: Callable[..., App]) -> None:
    app = napping(new_app, "failing")
    put_to_sleep(app)
    app.commit(slow_py="import sys\nsys.exit('not today')\n")
    begun = time.monotonic()
    app.failed()
    assert time.monotonic() - begun < 45
    assert app.ps()["web.1"]["state"] == "asleep" and app.status() == 200
    env = "NGINX_SERVER_NAME=alone.localhost\nUWSGI_IDLE=2\nPIKU_DEPLOY_STRATEGY=recreate\n"
    other = new_app("alone", {"Procfile": "wsgi: app:app\n", "app.py": WSGI, "ENV": env})
    other.server.wait(lambda: other.ps()["wsgi.1"]["state"] == "asleep")
    other.commit(Procfile="wsgi: app:app\nworker: false\n")
    begun = time.monotonic()
    other.failed()
    assert time.monotonic() - begun < 45 and other.status() == 200


def test_a_websocket_keeps_an_app_awake(new_app: Callable[..., App]) -> None:
    app = new_app("lively", web("lively"), push=False)
    app.commit(ENV="NGINX_SERVER_NAME=lively.localhost\nUWSGI_IDLE=1\n")
    app.deployed()
    server = app.server
    with socket.create_connection(("127.0.0.1", server.http_port)) as client:
        words = ("GET /ws HTTP/1.1", "Host: lively.localhost", "Upgrade: websocket",
                 "Connection: Upgrade", "Sec-WebSocket-Key: x", "", "")  # fmt: skip
        client.sendall("\r\n".join(words).encode())
        assert b"101" in client.recv(4096)
        begun = time.monotonic()
        while time.monotonic() - begun < 8:
            server.piku("housekeeping")
            assert app.ps()["web.1"]["state"] == "up"


@pytest.mark.timeout(300)
def test_fifty_sleeping_apps_cost_next_to_nothing(own_server: Sandbox) -> None:
    """The apps of a small board: all of them are there, and hardly any memory is."""

    def quiet() -> bool:
        # nginx's workers have this title once they have made room for their connections.
        others = ("/usr/bin/uwsgi", "nginx: master", "/up.sh ", "nginx: worker process")
        names = [str(process) for process in own_server.processes()]
        known = all(any(word in name for word in others) for name in names)
        return known and any(others[-1] in name for name in names)

    own_server.wait(quiet)
    before = memory(own_server)
    repository = own_server.repository("naps", {"Procfile": "wsgi: app:app\n", "app.py": WSGI})
    names = [f"nap{number}" for number in range(50)]
    for name in names:
        own_server.commit(
            repository, {"ENV": f"NGINX_SERVER_NAME={name}.localhost\nUWSGI_IDLE=1\n"}
        )
        assert own_server.push(repository, name).returncode == 0

    def asleep() -> bool:
        entries = [entry.name for entry in (own_server.root / "uwsgi-enabled").iterdir()]
        apps = [name for name in entries if not name.startswith("@")]  # and not the platform's own
        rows = [
            json.loads(own_server.piku("ps", name, "--json").stdout)
            for name in (names[0], names[-1])
        ]
        return len(apps) == 100 and {row["state"] for [row] in rows} == {"asleep"}

    own_server.wait(asleep, timeout=30)

    def each() -> float:
        return (memory(own_server) - before) / len(names)

    own_server.wait(lambda: each() < 0.3 * 2**20, what="they take little")
    print(f"a sleeping app costs {each() / 2**20:.3f} MB")
    assert {own_server.get(f"{name}.localhost")[0] for name in names[:3]} == {200}


def memory(server: Sandbox) -> int:
    """What all processes of the server take together, in bytes."""
    texts = []
    for process in server.processes():
        with contextlib.suppress(OSError):  # it has ended
            if not str(process).endswith(" housekeeping"):  # that comes and goes
                texts.append(Path(f"/proc/{process.pid}/smaps_rollup").read_text())
    # Not what files take, which depends on who else has them open.
    found = (re.search(r"^Pss_Anon:\s+(\d+) kB", text, re.MULTILINE) for text in texts)
    return sum(int(match[1]) * 1024 for match in found if match)
