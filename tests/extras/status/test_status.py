"""`piku status`: the whole server on one screen."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from sandbox import Sandbox

from tests.e2e.conftest import NewApp, started
from tests.e2e.support import WORKER, App, web, wsgi
from tests.e2e.terminal import Terminal

# It fails when it is started again and its data folder says so.
FRAIL = "web: test ! -e $DATA_ROOT/bad || exit 7; exec python3 -IS server.py\n"


@pytest.fixture(scope="module")
def seen() -> Iterator[Sandbox]:
    """A server that is looked at."""
    for server in started():
        server.wait((server.root / "nginx" / "nginx.pid").exists)
        yield server


def status(server: Sandbox) -> dict[str, Any]:
    result = server.piku("status", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def of(server: Sandbox, app: str) -> dict[str, Any]:
    (found,) = [one for one in status(server)["apps"] if one["app"] == app]
    assert isinstance(found, dict)
    return found


def test_a_server_without_apps(seen: Sandbox) -> None:
    shown = seen.ssh("status")
    assert shown.returncode == 0, shown.stderr
    first, second, *rest = shown.stdout.splitlines()
    assert first.startswith("piku ") and " runs for " in first and ", up for " in first
    assert second.startswith("load ") and " GB, disk " in second
    assert "No app yet: git push creates one" in rest
    machine = status(seen)["machine"]
    assert 0 < machine["available"] < machine["memory"] and 0 < machine["free"] < machine["disk"]


def test_apps_by_their_state(seen: Sandbox, new_app: NewApp) -> None:
    server = seen
    workers = "web: exec python3 -IS server.py\nworker: exec python3 -IS worker.py\n"
    steady = new_app(
        "steady", {**web("steady"), "Procfile": workers, "worker.py": WORKER}, on=server
    )
    steady.does("ps:scale", "web=2")
    new_app("quietly", wsgi("quietly", env="UWSGI_IDLE=1\n"), on=server)
    new_app("halting", on=server).does("stop")
    closed = new_app("closing", web("closing", env="NGINX_HTTPS_ONLY=true\n"), on=server)
    closed.does("maintenance:on")
    repository = server.repository("never", {"Procfile": "preflight: exit 3\n"})
    App(server=server, name="never", repository=repository).failed()
    frail = new_app("frail", {**web("frail"), "Procfile": FRAIL}, on=server)
    frail.data.mkdir(exist_ok=True)
    (frail.data / "bad").touch()
    os.kill(frail.ps()["web.1"]["pid"], signal.SIGKILL)
    server.wait(lambda: frail.ps()["web.1"]["restarts"] > 1)  # for good
    server.wait(lambda: of(server, "frail")["note"] == "web.1: crashing")

    found = {one["app"]: one for one in status(server)["apps"]}
    states = {name: one["state"] for name, one in found.items()}
    assert states.pop("quietly") in ("up", "asleep")
    assert states == {
        "frail": "crashing", "closing": "up", "steady": "up", "halting": "stopped", "never": "never live",
    }  # fmt: skip
    # What needs attention comes first.
    assert [*found][:: len(found) - 1] == ["frail", "never"]
    assert found["closing"]["note"].startswith("it is in maintenance since ")
    assert found["steady"]["processes"] == {"web": 2, "worker": 1} and found["steady"]["memory"] > 0
    assert found["steady"]["url"] == f"http://steady.localhost:{server.http_port}/"
    assert found["closing"]["url"] == f"https://closing.localhost:{server.https_port}/"

    shown = server.ssh("status")
    assert (shown.returncode, shown.stderr) == (0, "")
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("steady ")]
    assert " up " in line and " v1 " in line and "web=2 worker=1" in line
    (frail.data / "bad").unlink()
    frail.does("restart")
    assert of(server, "frail")["state"] == "up"
    with Terminal(server, "status", columns=60) as terminal:
        code, text = terminal.ends()
    assert code == 0 and max(map(len, text.split("\r\n"))) <= 60, text


def test_deploys_and_jobs(seen: Sandbox, new_app: NewApp) -> None:
    start = "web: exec python3 -IS server.py\n"
    files = {
        **web("eventful", env="CODE=4\n"),
        "Procfile": f"{start}cron-report: @monthly exit $CODE\n",
    }
    app = new_app("eventful", files, on=seen)
    seen.commit(app.repository, {"Procfile": f"preflight: exit 9\n{start}"}, "Worse")
    app.failed()
    deploys = [one for one in status(seen)["deploys"] if one["app"] == "eventful"]
    assert [(one["number"], one["outcome"], one["description"]) for one in deploys] == [
        (2, "failed", "Worse"), (1, "succeeded", "First version"),
    ]  # fmt: skip
    assert all("settings" not in one for one in deploys)
    app.says("cron:run", "report")
    (job,) = [one for one in status(seen)["jobs"] if one["app"] == "eventful"]
    assert (job["job"], job["code"], job["running"]) == ("cron-report", 4, False)
    text = seen.piku("status").stdout
    assert "cron-report  failed with exit code 4" in text and "failed: " in text


def test_damage_hides_nothing(seen: Sandbox, new_app: NewApp) -> None:
    new_app("dented", on=seen)
    live = seen.root / "releases" / "dented" / "live.json"
    text = live.read_text()
    live.write_text("{")
    found = of(seen, "dented")
    assert found["state"] == "unknown" and "live.json is damaged" in found["note"]
    assert of(seen, "eventful")["state"] == "up"
    live.write_text(text)
    assert of(seen, "dented")["state"] == "up"


def test_a_platform_that_does_not_run(seen: Sandbox) -> None:
    seen.stop_platform()
    assert status(seen)["machine"]["platform"] == 0
    assert of(seen, "dented")["state"] in ("unknown", "down")
    assert " does not run, on " in seen.piku("status").stdout.splitlines()[0]
    seen.start_platform()
