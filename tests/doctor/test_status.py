"""`piku status`: the whole server on one screen."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sandbox import Sandbox

from tests.doctor.test_apps import ill, patient
from tests.e2e.conftest import NewApp, started
from tests.e2e.support import WORKER, App, wsgi
from tests.e2e.terminal import Terminal


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
    assert second.startswith("load ") and " MB, disk " in second
    assert "No app yet: git push makes one" in rest
    machine = status(seen)["machine"]
    assert 0 < machine["available"] < machine["memory"] and 0 < machine["free"] < machine["disk"]
    assert 0 <= machine["platform"] < 300 <= machine["uptime"] + 300


def test_apps_by_their_state(seen: Sandbox, new_app: NewApp) -> None:
    server = seen
    files = {
        **patient("steady", procfile="worker: exec python3 -IS worker.py\n"),
        "worker.py": WORKER,
    }
    steady = new_app("steady", files, on=server)
    steady.does("ps:scale", "web=2")
    new_app("quietly", wsgi("quietly", env="UWSGI_IDLE=1\n"), on=server)
    halted = new_app("halting", patient("halting"), on=server)
    halted.does("stop")
    closed = new_app("closing", patient("closing", "NGINX_HTTPS_ONLY=true\n"), on=server)
    closed.does("maintenance:on")
    App(
        server=server,
        name="never",
        repository=server.repository("never", {"Procfile": "preflight: exit 3\n"}),
    ).failed()
    crashing = new_app("crasher", patient("crasher"), on=server)
    ill(crashing, "exit")
    server.wait(
        lambda: of(server, "crasher")["note"] == "web.1 keeps ending with exit code 7", timeout=20
    )

    found = {one["app"]: one for one in status(server)["apps"]}
    states = {name: one["state"] for name, one in found.items()}
    assert states.pop("quietly") in ("up", "asleep")
    assert states == {
        "crasher": "crashing", "closing": "maintenance", "steady": "up", "halting": "stopped", "never": "never live",
    }  # fmt: skip
    # What asks for attention comes first.
    assert list(found)[:2] == ["crasher", "closing"] and list(found)[-1] == "never"
    assert found["steady"]["processes"] == {"web": 2, "worker": 1} and found["steady"]["memory"] > 0
    assert found["steady"]["url"] == f"http://steady.localhost:{server.http_port}/"
    assert found["closing"]["url"] == f"https://closing.localhost:{server.https_port}/"
    assert (found["steady"]["release"], found["never"]["release"]) == (1, None)

    shown = server.ssh("status")
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = shown.stdout.splitlines()
    (line,) = [line for line in lines if line.startswith("steady ")]
    assert " up " in line and " v1 " in line and "web=2 worker=1" in line
    assert any("1 crashing, 1 maintenance" in line for line in lines)
    server.wait(lambda: of(server, "quietly")["state"] == "asleep", timeout=30)
    (crashing.data / "how").unlink()
    crashing.does("restart")
    assert of(server, "crasher")["state"] == "up"

    # It fits a terminal.
    with Terminal(server, "status", columns=60) as terminal:
        code, shown = terminal.ends()
    assert code == 0 and max(map(len, shown.split("\r\n"))) <= 60, shown


def test_deploys_jobs_and_certificates(seen: Sandbox, new_app: NewApp) -> None:
    server = seen
    procfile = "cron-report: @monthly exit $CODE\n"
    app = new_app("eventful", patient("eventful", "CODE=4\n", procfile), on=server)
    server.commit(
        app.repository,
        {"Procfile": "preflight: exit 9\nweb: exec python3 -IS server.py\n"},
        "Worse",
    )
    app.failed()
    deploys = [one for one in status(server)["deploys"] if one["app"] == "eventful"]
    assert [(one["release"], one["outcome"], one["description"]) for one in deploys] == [
        (2, "failed", "Worse"), (1, "succeeded", "First version"),
    ]  # fmt: skip
    assert "exit code 9" in deploys[0]["reason"] and deploys[0]["by"] == "laptop"
    app.says("cron:run", "report")
    (job,) = [one for one in status(server)["jobs"] if one["app"] == "eventful"]
    assert (job["job"], job["code"], job["running_since"]) == ("cron-report", 4, None)
    name = server.piku("run", "--detach", "eventful", "sleep 1000").stdout.strip()
    running = [one["job"] for one in status(server)["jobs"] if one["running_since"]]
    assert running == [name]
    text = server.piku("status").stdout
    assert (
        "cron-report  failed with exit code 4" in text and "failed: " in text and f"{name}" in text
    )
    app.does("ps:stop", name)

    (own,) = (server.root / "nginx").glob("eventful@self-*.pem")
    first, _, rest = own.read_text().partition("\n")
    facts = json.loads(first.removeprefix("# piku: "))
    soon = {**facts, "not_after": facts["not_before"] + 10 * 86400 + 3600}
    own.write_text(f"# piku: {json.dumps(soon)}\n{rest}")
    assert [one["app"] for one in status(server)["certificates"]] == ["eventful"]
    assert (
        "eventful: self-signed, for eventful.localhost, ends in 10 days"
        in server.piku("status").stdout
    )
    own.write_text(f"{first}\n{rest}")
    assert status(server)["certificates"] == []


def test_damage_hides_nothing(seen: Sandbox, new_app: NewApp) -> None:
    app = new_app("dented", patient("dented"), on=seen)
    live = seen.root / "releases" / "dented" / "live.json"
    text = live.read_text()
    live.write_text("{")
    found = of(seen, "dented")
    assert found["state"] == "unknown" and "live.json is damaged" in found["note"]
    assert of(seen, "eventful")["state"] == "up"
    live.write_text(text)
    assert of(seen, "dented")["state"] == "up" and app.status() == 200


def test_a_platform_that_does_not_run(seen: Sandbox) -> None:
    seen.stop_platform()
    found = status(seen)
    assert found["machine"]["platform"] is None
    assert of(seen, "dented")["state"] == "down"
    shown = seen.piku("status").stdout
    assert shown.startswith("piku ") and " does not run, on " in shown.splitlines()[0]
    assert "(piku does not run)" in shown
    seen.start_platform()
