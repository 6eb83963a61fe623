"""`piku ps`: what runs of one app and of all, and what it says when something does not."""

import json
import os
import re
import signal
from collections.abc import Callable
from typing import Any

import pytest
from sandbox import Sandbox

from tests.e2e.support import App, refused, web, wsgi


@pytest.fixture(scope="module")
def apps(new_app: Callable[..., App]) -> dict[str, App]:
    """One app of each kind that a look at all has to show."""
    files = {
        "Procfile": "static: public\n",
        "public/index.html": "x",
        "ENV": "NGINX_SERVER_NAME=files.localhost\n",
    }
    loop = "until [ -e $DATA_ROOT/broken ]; do sleep 0.1; done; echo it broke; exit 3"
    busy = new_app("busy", web("busy", procfile=f"worker: exec sleep 1000\nloop: {loop}\n"))
    (busy.data / "broken").touch()
    found = {
        "busy": busy,
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
    return {app["app"]: app for app in json.loads(result.stdout)["apps"]}


def states(app: App) -> dict[str, str]:
    return {name: row["state"] for name, row in app.ps().items()}


def test_every_app_has_its_place(apps: dict[str, App], server: Sandbox) -> None:
    server.wait(lambda: states(apps["busy"])["loop.1"] == "crashing", timeout=20)
    result = server.ssh("ps")
    head, *lines = result.stdout.splitlines()
    columns = "APP PROCESS RELEASE PID STATE UPTIME MEMORY RESTARTS ADDRESS"
    assert head.split() == columns.split()
    shown = {tuple(line.split()[:2]): line.split() for line in lines}
    for key in (("busy", "web.1"), ("busy", "worker.1"), ("calls", "wsgi.1")):
        assert shown[key][2] == "v1" and shown[key][4] == "up"
    assert shown["busy", "loop.1"][4] == "crashing"
    assert re.search(r"^files +- +v1 +- +static", result.stdout, re.MULTILINE)
    assert re.search(r"^idler +- +v1 +- +stopped", result.stdout, re.MULTILINE)
    assert re.search(r"^unborn +- +- +- +never live", result.stdout, re.MULTILINE)
    assert "loop.1 of busy keeps ending with exit code 3" in result.stderr
    assert "       it broke" in result.stderr


def test_the_rows_of_an_app(apps: dict[str, App]) -> None:
    rows = apps["busy"].ps()
    about = apps["busy"].about()
    assert (rows["web.1"]["pid"], rows["web.1"]["restarts"]) == (about["pid"], 0)
    assert 1_000_000 < rows["web.1"]["memory"] < 100_000_000
    assert rows["web.1"]["address"].startswith("127.0.0.1:")
    assert (rows["loop.1"]["restarts"] > 1, rows["loop.1"]["exit_code"]) == (True, 3)


def test_a_process_that_is_killed_is_counted(apps: dict[str, App], server: Sandbox) -> None:
    os.kill(apps["busy"].ps()["worker.1"]["pid"], signal.SIGKILL)

    def is_back() -> bool:
        row = apps["busy"].ps()["worker.1"]
        return (row["state"], row["restarts"], row["exit_code"]) == ("up", 1, 137)

    server.wait(is_back, timeout=20)


def test_one_damaged_record_does_not_hide_the_rest(
    own_server: Sandbox, new_app: Callable[..., App]
) -> None:
    good, bad = (new_app(name, web(name), on=own_server) for name in ("good", "bad"))
    record = own_server.root / "releases" / "bad" / "live.json"
    kept = record.read_text()
    record.write_text("{")
    result = own_server.piku("ps")
    assert result.returncode == 0
    assert re.search(r"^good +web.1 +v1 +\d+ +up", result.stdout, re.MULTILINE)
    assert " !     bad: " in result.stderr and "is damaged" in result.stderr
    found = overview(own_server)
    assert found["bad"]["state"] == "unknown" and "damaged" in found["bad"]["error"]
    refused(bad.says("ps"), 1, "is damaged")
    record.write_text(kept)

    # No answer is not taken for "not running".
    emperor = int((own_server.root / "uwsgi" / "emperor.pid").read_text())
    os.kill(emperor, signal.SIGSTOP)
    try:
        assert states(good) == {"web.1": "unknown"}
        assert "uWSGI does not answer" in good.says("ps").stderr
    finally:
        os.kill(emperor, signal.SIGCONT)
    own_server.stop_platform()
    result = own_server.piku("ps")
    assert re.search(r"^good +web.1 +v1 +- +down", result.stdout, re.MULTILINE)
    assert "piku is not running" in result.stderr


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


def test_an_app_that_no_longer_loads(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("frail", {**wsgi("frail"), "app.py": FRAIL})
    (app.data / "broken").touch()
    os.kill(app.ps()["wsgi.1"]["pid"], signal.SIGKILL)

    def keeps_ending() -> bool:
        row = app.ps()["wsgi.1"]
        said = "RuntimeError: there is no database" in row["last_lines"]
        return row["state"] == "crashing" and said and row["restarts"] > 0

    server.wait(keeps_ending, timeout=20)
    assert "wsgi.1 of frail keeps ending" in server.piku("ps").stderr
    (app.data / "broken").unlink()
    server.wait(lambda: app.ps()["wsgi.1"]["state"] == "up", timeout=40)
    assert app.says("ps").stderr == ""


def test_worker_processes_that_die_are_seen(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("mortal", {**wsgi("mortal"), "app.py": FRAIL})
    for _ in range(2):
        assert app.status("/die") == 502
    server.wait(lambda: app.ps()["wsgi.1"]["restarts"] == 2, timeout=20)
    assert app.ps()["wsgi.1"]["state"] == "crashing"
    server.wait(lambda: app.ps()["wsgi.1"]["state"] == "up", timeout=30)


def test_the_list_of_apps_marks_those_that_run(new_app: Callable[..., App]) -> None:
    app = new_app("listed")
    assert "* listed" in app.server.piku("apps").stdout.splitlines()
    app.does("stop")
    assert "  listed" in app.server.piku("apps").stdout.splitlines()
    assert "listed" in app.server.piku("apps", "--plain").stdout.splitlines()


def test_what_failed_before_a_reboot_is_over(
    own_server: Sandbox, new_app: Callable[..., App]
) -> None:
    frail = "frail: test ! -e $DATA_ROOT/bad || exit 3; exec sleep 1000\n"
    app = new_app("rebooted", web("rebooted", procfile=frail), on=own_server)
    (app.data / "bad").touch()
    os.kill(app.ps()["frail.1"]["pid"], signal.SIGKILL)
    own_server.wait(lambda: app.ps()["frail.1"]["restarts"] > 1)
    (app.data / "bad").unlink()
    own_server.wait(lambda: states(app)["frail.1"] == "up")
    own_server.stop_platform()
    own_server.start_platform()
    seen = []
    own_server.wait(lambda: seen.append(states(app)["frail.1"]) or seen[-1] == "up")  # type: ignore[func-returns-value]
    assert "crashing" not in seen
    assert app.ps()["frail.1"]["restarts"] > 1
