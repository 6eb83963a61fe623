"""All apps at one look: what runs, what it takes, and what it is asked."""

import json
import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
from sandbox import Sandbox

from tests.e2e.support import App, refused, web, wsgi
from tests.e2e.terminal import CTRL_C, CTRL_Z, Terminal

APPS = ("busy", "calls", "files", "idler")


@pytest.fixture(scope="module")
def apps(new_app: Callable[..., App]) -> dict[str, App]:
    """One app of each kind that a look at all has to show."""
    spin = "worker: while :; do :; done\nloop: sleep 0.6; echo it broke; exit 3\n"
    files = {
        "Procfile": "static: public\n",
        "public/index.html": "x",
        "ENV": "NGINX_SERVER_NAME=files.localhost\n",
    }
    found = {
        "busy": new_app("busy", web("busy", procfile=spin)),
        "calls": new_app("calls", wsgi("calls")),
        "files": new_app("files", files),
        "idler": new_app("idler", web("idler")),
        "unborn": new_app("unborn", {"Procfile": "web: exit 1\n"}, push=False),
    }
    found["unborn"].failed()
    found["idler"].does("stop")
    return found


def overview(server: Sandbox) -> dict[str, Any]:
    result = server.piku("ps", "--json")
    assert result.returncode == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return {**found, "apps": {app["app"]: app for app in found["apps"]}}


def test_every_app_has_its_place(apps: dict[str, App], server: Sandbox) -> None:
    def crashing() -> bool:
        return "crashing" in {row["state"] for row in overview(server)["apps"]["busy"]["processes"]}

    server.wait(crashing, timeout=20)
    result = server.ssh("ps")
    head, *lines = result.stdout.splitlines()
    assert head.split() == [
        "APP",
        "PROCESS",
        "RELEASE",
        "STATE",
        "CPU",
        "MEMORY",
        "RESTARTS",
        "UPTIME",
        "REQ/MIN",
    ]
    rows = [line.split() for line in lines]
    shown = {
        (row[0], row[1]): row for row in rows if len(row) > 8 or row[:2] == ["files", "static"]
    }
    assert set(shown) >= {
        ("busy", "web.1"),
        ("busy", "worker.1"),
        ("busy", "loop.1"),
        ("calls", "wsgi.1"),
    }
    assert shown["calls", "wsgi.1"][2:4] == ["v1", "up"] and shown["files", "static"][2:4] == [
        "v1",
        "up",
    ]
    assert shown["busy", "loop.1"][3] == "crashing"
    assert re.search(r"^stopped: (.*, )?idler\b", result.stdout, re.MULTILINE)
    assert re.search(r"^never live: (.*, )?unborn\b", result.stdout, re.MULTILINE)
    assert re.fullmatch(
        r"\d+ processes of \d+ apps, [\d.]+ MB; \d+ MB available; \d+ requests/min", lines[-1]
    )
    assert "loop.1 of busy keeps ending with exit code 3; see: piku ps busy" in result.stderr
    assert "it broke" in apps["busy"].says("ps").stderr


def test_what_processes_take_is_measured(apps: dict[str, App], server: Sandbox) -> None:
    found = overview(server)
    rows = {row["worker"]: row for row in found["apps"]["busy"]["processes"]}
    # It wants a whole processor, of which others may leave it a part.
    assert 15 < rows["worker.1"]["cpu"] <= 110 and rows["web.1"]["cpu"] < 15
    assert 1_000_000 < rows["web.1"]["memory"] < 100_000_000
    totals = found["totals"]
    everything = [row for app in found["apps"].values() for row in app["processes"] if row["pid"]]
    assert totals["processes"] == len(everything) and totals["apps"] == len(found["apps"])
    assert totals["memory"] == sum(row["memory"] for row in everything) < totals["available"]
    assert apps["busy"].ps()["worker.1"]["cpu"] > 15
    server.piku("ps:scale", "busy", "worker=0")


def test_requests_of_the_last_minute_are_counted(apps: dict[str, App], server: Sandbox) -> None:
    busy, calls, files = apps["busy"], apps["calls"], apps["files"]
    busy.does("ps:scale", "web=2")
    calls.does("ps:scale", "wsgi=2")
    before = {name: app["requests_per_minute"] for name, app in overview(server)["apps"].items()}
    for _ in range(7):
        assert [app.status() for app in (busy, calls, files)] == [200] * 3

    def after(name: str) -> int:
        return int(overview(server)["apps"][name]["requests_per_minute"])

    for name in ("busy", "calls", "files"):
        server.wait(lambda name=name: after(name) == before[name] + 7, what=f"{name} is counted")
    found = overview(server)["apps"]
    # Each process of uWSGI counts its own; what nginx counts together stands at the first.
    own = [row["requests_per_minute"] for row in found["calls"]["processes"]]
    assert sum(own) == found["calls"]["requests_per_minute"] and all(own)
    assert [
        row["requests_per_minute"]
        for row in found["busy"]["processes"]
        if row["worker"] != "loop.1"
    ] == [None] * 2
    assert found["busy"]["counted_by_nginx"] == found["busy"]["requests_per_minute"]
    shown = {line.split()[0]: line for line in busy.does("ps").splitlines()}
    assert shown["web.1"].split()[9] == str(found["busy"]["requests_per_minute"])
    assert len(shown["web.2"].split()) == len(shown["web.1"].split()) - 1
    # What takes the place of a process goes on counting.
    calls.does("restart")
    assert after("calls") >= 7
    calls.does("ps:scale", "wsgi=1")


def test_watching_on_a_terminal(apps: dict[str, App], server: Sandbox) -> None:
    refused(server.piku("ps", "--watch"), 2, "terminal", "ssh -t")
    refused(server.ssh("ps --watch calls"), 2, "terminal")
    refused(server.piku("ps", "--watch", "--json"), 2, "--json")
    with Terminal(server, "ps --watch", rows=400, columns=80) as terminal:
        terminal.wait_for(r"\x1b\[\?1049h")
        terminal.wait_for("calls +wsgi.1")
        terminal.wait_for("requests/min")  # it is drawn anew
        apps["calls"].does("ps:scale", "wsgi=2")
        terminal.wait_for("calls +wsgi.2")
        terminal.resize(6, 44)
        terminal.wait_for(r"… \d+ more lines")
        terminal.types(CTRL_C)
        code, shown = terminal.ends()
    assert code == 130 and "Traceback" not in shown
    assert shown.rstrip().endswith("\x1b[?25h\x1b[?1049l")
    frames = [
        re.sub(r"\x1b\[[?\d]*[A-Za-z]|\^C|\r", "", frame).split("\n")
        for frame in shown.split("\x1b[H")
    ]
    assert max(len(line) for frame in frames for line in frame) <= 80
    small = frames[-1][:6]
    assert "requests/min" not in small[0] and small[0].endswith("…") and max(map(len, small)) <= 44
    with Terminal(server, "ps --watch calls", rows=40, columns=80) as terminal:
        terminal.wait_for("wsgi.2 +v1 +[0-9]+ +up")
        terminal.types(CTRL_Z)  # there is no shell to come back to
        terminal.wait_for("wsgi.2 +v1 +[0-9]+ +up")
        terminal.types(CTRL_C)
        assert terminal.ends()[0] == 130


def test_tables_fit_their_terminal(apps: dict[str, App], server: Sandbox) -> None:
    for columns in (40, 80, 120):
        for command in ("ps", "ps busy"):
            with Terminal(server, command, columns=columns) as terminal:
                code, shown = terminal.ends()
            assert code == 0
            table = shown.split("\r\n\r\n")[0].split("\r\n")
            assert max(map(len, table)) <= columns, shown
            assert ("REQ/MIN" in table[0]) == (columns > 80 or command == "ps")
            assert "STATE" in table[0]


def test_one_damaged_record_does_not_hide_the_rest(
    own_server: Sandbox, new_app: Callable[..., App]
) -> None:
    good, bad = (new_app(name, web(name), on=own_server) for name in ("good", "bad"))
    record = own_server.root / "releases" / "bad" / "live.json"
    kept = record.read_text()
    record.write_text("{")
    result = own_server.piku("ps")
    assert result.returncode == 0
    assert re.search(r"^good +web.1 +v1 +up", result.stdout, re.MULTILINE)
    assert " !     bad: " in result.stderr and "is damaged" in result.stderr
    found = overview(own_server)["apps"]
    assert found["bad"]["state"] == "unknown" and "damaged" in found["bad"]["error"]
    assert found["good"]["processes"][0]["state"] == "up"
    refused(bad.says("ps"), 1, "is damaged")
    record.write_text(kept)

    # Without the platform nothing runs, and that is said.
    own_server.stop_platform()
    result = own_server.piku("ps")
    assert re.search(r"^good +web.1 +v1 +down", result.stdout, re.MULTILINE)
    assert "piku is not running" in result.stderr
    assert good.says("ps").returncode == 0


FRAIL = """\
import os, pathlib
if pathlib.Path(os.environ["DATA_ROOT"], "broken").exists():
    raise RuntimeError("there is no database")
def app(environ, start_response):
    if environ["PATH_INFO"] == "/die":
        os._exit(11)
    start_response("200 OK", [])
    return [b"up"]
"""


def frail(new_app: Callable[..., App], name: str, env: str = "") -> App:
    return new_app(name, {**wsgi(name, env=env), "app.py": FRAIL})


def keeps_ending(app: App) -> bool:
    row = app.ps()["wsgi.1"]
    return row["state"] == "crashing" and "RuntimeError: there is no database" in row["last_lines"]


def test_an_app_that_no_longer_loads(new_app: Callable[..., App], server: Sandbox) -> None:
    app = frail(new_app, "frail")
    (app.data / "broken").touch()
    os.kill(app.ps()["wsgi.1"]["pid"], signal.SIGKILL)
    server.wait(lambda: keeps_ending(app) and app.ps()["wsgi.1"]["restarts"] > 0, timeout=20)
    assert "wsgi.1 keeps ending" in app.says("ps").stderr
    assert "wsgi.1 of frail keeps ending" in server.piku("ps").stderr
    (app.data / "broken").unlink()
    server.wait(lambda: app.ps()["wsgi.1"]["state"] == "up", timeout=40)
    assert app.says("ps").stderr == ""


def test_an_app_that_does_not_wake(new_app: Callable[..., App], server: Sandbox) -> None:
    app = frail(new_app, "heavy", "UWSGI_IDLE=1\n")
    for _ in range(2):
        server.wait(lambda: app.ps()["wsgi.1"]["state"] == "asleep", timeout=20)
        assert app.status() == 200
    server.wait(lambda: app.ps()["wsgi.1"]["state"] == "asleep", timeout=20)
    assert app.ps()["wsgi.1"]["restarts"] == 0  # a nap is none
    (app.data / "broken").touch()
    assert app.status() == 502
    server.wait(lambda: keeps_ending(app))
    (app.data / "broken").unlink()
    server.wait(lambda: app.status() == 200)
    server.wait(lambda: app.ps()["wsgi.1"]["state"] in ("up", "asleep"))


def test_worker_processes_that_die_are_seen(new_app: Callable[..., App], server: Sandbox) -> None:
    app = frail(new_app, "mortal")
    for _ in range(2):
        assert app.status("/die") == 502
    server.wait(lambda: app.ps()["wsgi.1"]["restarts"] == 2, timeout=20)
    assert app.ps()["wsgi.1"]["state"] == "crashing"
    server.wait(lambda: app.status() == 200, timeout=20)
    assert app.ps()["wsgi.1"]["state"] == "up"


def test_neither_a_nap_nor_a_start_of_the_platform_is_a_crash(
    own_server: Sandbox, new_app: Callable[..., App]
) -> None:
    app = new_app(
        "sleepy", web("sleepy", env="UWSGI_IDLE=1\n", procfile="worker: sleep 600\n"), on=own_server
    )
    states: set[str] = set()

    def look(wanted: str) -> bool:
        row = app.ps()["web.1"]
        states.add(row["state"])
        assert (row["restarts"], row["exit_code"]) == (0, None)
        return bool(row["state"] == wanted)

    def dozes() -> bool:
        own_server.piku("housekeeping")
        return look("asleep")

    for _ in range(2):
        own_server.wait(dozes, timeout=20)
        assert app.status() == 200
        own_server.wait(lambda: look("up"))
    own_server.stop_platform()
    own_server.start_platform()
    own_server.wait(lambda: app.status() == 200 and look("up"))
    row = app.ps()["worker.1"]
    assert (row["state"], row["restarts"], row["exit_code"]) == ("up", 0, None)
    assert "crashing" not in states
