"""Apps that sleep while nobody asks for them."""

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


def test_a_wsgi_app_sleeps_and_the_first_request_wakes_it(new_app: Callable[..., App]) -> None:
    settings = "NGINX_SERVER_NAME=drowsy.localhost\nUWSGI_IDLE=2\n"
    app = new_app("drowsy", {"Procfile": "wsgi: app:app\n", "app.py": WSGI, "ENV": settings})
    first = app.body()
    assert app.ps()["wsgi.1"]["state"] == "up"
    app.server.wait(lambda: app.ps()["wsgi.1"]["state"] == "asleep")
    assert (app.ps()["wsgi.1"]["pid"], app.ps()["wsgi.1"]["memory"]) == (0, 0)
    begun = time.monotonic()
    second = app.body()
    assert app.status() == 200 and second != first
    assert time.monotonic() - begun < 2
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


def test_one_that_does_not_load_is_found_although_it_would_sleep(new_app: Callable[..., App]) -> None:
    settings = "NGINX_SERVER_NAME=dead.localhost\nUWSGI_IDLE=2\n"
    files = {"Procfile": "wsgi: app:app\n", "app.py": "raise RuntimeError('not today')\n", "ENV": settings}
    app = new_app("dead", files, push=False)
    said = app.push()
    assert said.returncode != 0 and "not today" in said.stdout + said.stderr


def test_options_of_ones_own_reach_uwsgi(new_app: Callable[..., App]) -> None:
    files = {
        "Procfile": "wsgi: app:app\n",
        "app.py": WSGI,
        "ENV": "NGINX_SERVER_NAME=tuned.localhost\nUWSGI_INCLUDE_FILE=conf/uwsgi.ini\n",
        "conf/uwsgi.ini": "[uwsgi]\nadd-header = X-Tuned: yes\n",
    }
    app = new_app("tuned", files)
    assert app.server.get("tuned.localhost")[1]["X-Tuned"] == "yes"
    app.commit(**{"conf/uwsgi.ini": "[uwsgi]\nno-such-option = 1\n"})
    said = app.push()
    text = said.stdout + said.stderr
    assert said.returncode != 0
    assert "unknown config directive: no-such-option" in text and "conf/uwsgi.ini" in text
    assert app.server.get("tuned.localhost")[1]["X-Tuned"] == "yes"


def test_a_web_app_sleeps_and_the_first_request_wakes_it(new_app: Callable[..., App]) -> None:
    app = new_app("siesta", web("siesta"), push=False)
    app.commit(ENV="NGINX_SERVER_NAME=siesta.localhost\nUWSGI_IDLE=1\n")
    app.deployed()
    server = app.server
    first = app.about()["pid"]

    def sleeps() -> bool:
        assert server.piku("upkeep", "--doze").returncode == 0  # what its vassal calls every minute
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
            server.piku("upkeep", "--doze")
            assert app.ps()["web.1"]["state"] == "up"


@pytest.mark.timeout(300)
def test_fifty_sleeping_apps_cost_next_to_nothing(own_server: Sandbox) -> None:
    """The apps of a small board: all of them are there, and hardly any memory is."""
    before = memory(own_server)
    repository = own_server.repository("naps", {"Procfile": "wsgi: app:app\n", "app.py": WSGI})
    names = [f"nap{number}" for number in range(50)]
    for name in names:
        own_server.commit(repository, {"ENV": f"NGINX_SERVER_NAME={name}.localhost\nUWSGI_IDLE=1\n"})
        assert own_server.push(repository, name).returncode == 0

    def asleep() -> bool:
        states = {entry.name for entry in (own_server.root / "uwsgi-enabled").iterdir()}
        rows = [json.loads(own_server.piku("ps", name, "--json").stdout) for name in (names[0], names[-1])]
        return len(states) == 100 and {row["state"] for [row] in rows} == {"asleep"}

    own_server.wait(asleep, timeout=30)
    each = (memory(own_server) - before) / len(names)
    print(f"a sleeping app costs {each / 2**20:.3f} MB, fifty {each * 50 / 2**20:.1f} MB")
    assert each < 0.3 * 2**20
    assert {own_server.get(f"{name}.localhost")[0] for name in names[:3]} == {200}


def memory(server: Sandbox) -> int:
    """What all processes of the server take together, in bytes."""
    pids = [process.pid for process in server.processes()]
    texts = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids)
    found = (re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE) for text in texts)
    return sum(int(match[1]) * 1024 for match in found if match)
