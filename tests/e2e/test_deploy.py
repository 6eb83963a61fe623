"""What a deploy does in which order, and how it finds that a release is well."""

import json
from collections.abc import Callable

import pytest

from tests.e2e.support import WEB, WORKER, WSGI, App, web, wsgi


def test_commands_run_in_their_order_and_know_the_settings(new_app: Callable[..., App]) -> None:
    note = 'echo "{} $PIKU_RELEASE $COLOR $(basename "$PWD") $(cat version.txt)" >>$DATA_ROOT/order'
    files = {
        **web("ordered", env="COLOR=green\nPAINT=$COLOR-paint\n", version_txt="one"),
        "Procfile": f"web: {note.format('web')}; exec python3 -IS server.py\n"
        f"release: {note.format('release')}\npreflight: {note.format('preflight')}\n",
    }
    app = new_app("ordered", files)
    order = app.data / "order"
    assert order.read_text().splitlines() == [
        f"{what} 1 green v1 one" for what in ("preflight", "release", "web")
    ]
    assert app.about()["env"]["PAINT"] == "green-paint"

    order.unlink()
    app.commit(version_txt="two")
    app.deployed()
    # New settings run nothing where the live release serves; a restart is no release.
    app.does("config:set", "COLOR=blue")
    app.does("restart")
    assert order.read_text().splitlines() == [
        "preflight 2 green v2 two",
        "release 2 green v2 two",
        "web 2 green v2 two",
        "web 3 blue v2 two",
        "web 3 blue v2 two",
    ]
    # The repository's ENV sees the layers below it, and config:set is above both.
    assert app.about()["env"]["PAINT"] == "green-paint"
    assert app.about()["env"]["COLOR"] == "blue"


@pytest.mark.parametrize("phase", ["preflight", "release"])
def test_a_command_that_fails_stops_the_deploy(new_app: Callable[..., App], phase: str) -> None:
    app = new_app(f"stops-{phase}", {**web(f"stops-{phase}"), "worker.py": WORKER})
    pid = app.about()["pid"]
    app.commit(
        Procfile=f"{WEB}{phase}: echo from the {phase}; exit 4\nworker: python3 worker.py\n",
        version_txt="two",
    )
    said = app.failed()
    assert any(f"from the {phase}" in line for line in said)
    assert any(
        f"v2 failed at the {phase} command" in line and "exit code 4" in line for line in said
    )
    assert (app.about()["version"], app.about()["pid"]) == ("one", pid)
    assert not (app.data / "events").exists()  # the worker was never started
    assert list(app.ps()) == ["web.1"]


def test_wsgi_disables_web(new_app: Callable[..., App]) -> None:
    app = new_app(
        "both", {**wsgi("both"), "Procfile": "web: exec false\nwsgi: app:app\n"}, push=False
    )
    said = app.deployed()
    assert any("'web' is disabled: 'wsgi' answers the requests" in line for line in said)
    assert app.body() == "one"
    assert list(app.ps()) == ["wsgi.1"]
    assert app.says("ps:scale", "web=2").returncode == 1


def test_a_release_must_be_healthy(new_app: Callable[..., App]) -> None:
    env = "PIKU_HEALTHCHECK_PATH=/health\nPIKU_DEPLOY_TIMEOUT=10\n"
    app = new_app("healthy", web("healthy", env=env, health_txt="404"))
    assert app.body() == "one"
    app.commit(health_txt="503", version_txt="two")
    said = app.failed()
    assert any(
        "v2 failed at starting its processes: web.1 answers /health with 503" in line
        for line in said
    )
    assert any("piku logs healthy --release 2" in line for line in said)
    assert "two listens" in app.does("logs", "--release", "2", "--no-follow")
    assert app.body() == "one"
    app.commit(health_txt="200")
    app.deployed()
    assert app.body() == "two"
    # One that listens somewhere else, and one that does not listen.
    app.commit(Procfile="web: PORT=0 exec python3 -IS server.py\n")
    said = app.failed()
    assert any("not on" in line and "$PORT" in line for line in said)
    app.commit(Procfile="web: exec sleep 60\n")
    assert any("web.1 did not answer within 10 s" in line for line in app.failed())
    assert app.body() == "two"


def test_a_wsgi_release_must_be_healthy(new_app: Callable[..., App]) -> None:
    app = new_app(
        "loads", wsgi("loads", env="PIKU_HEALTHCHECK_PATH=/about\nPIKU_DEPLOY_TIMEOUT=10\n")
    )
    pid = app.about()["pid"]
    app.commit(app_py=WSGI + "\ndef broken(:\n")
    said = app.failed()
    assert any("SyntaxError" in line for line in said)
    assert any("v1" in line and "still runs" in line for line in said)
    app.commit(app_py=WSGI.replace('start_response("200 OK"', 'start_response("500 Sorry"'))
    assert any("wsgi.1 answers /about with 500" in line for line in app.failed())
    assert app.about()["pid"] == pid
    app.commit(app_py=WSGI.replace("def app(", "def other("))
    assert any("still runs" in line for line in app.failed())
    assert app.about()["pid"] == pid


def test_recreate_stops_the_old_release_first(new_app: Callable[..., App]) -> None:
    app = new_app("recreated", web("recreated", env="PIKU_DEPLOY_STRATEGY=recreate\n"))
    app.commit(
        version_txt="two",
        Procfile=WEB.replace("exec", "pgrep -fc 'recreated.*web.1' >$DATA_ROOT/seen; exec"),
    )
    said = app.deployed()
    assert any(
        "The old release stops before the new one starts: PIKU_DEPLOY_STRATEGY=recreate" in line
        for line in said
    )
    assert app.body() == "two"
    app.commit(
        ENV="NGINX_SERVER_NAME=recreated.localhost\nPIKU_DEPLOY_STRATEGY=recreate\nCRASH=yes\n"
    )
    said = app.failed()
    assert any("crashing because CRASH=yes" in line for line in said)
    assert app.body() == "two"


def events(app: App) -> list[str]:
    place = app.data / "events"
    text = place.read_text() if place.exists() else ""  # the worker has not begun yet
    return [" ".join(line.split()[:2]) for line in text.splitlines()]


def test_workers_do_not_overlap(new_app: Callable[..., App]) -> None:
    files = {
        **web("occupied", procfile="worker: exec python3 -IS worker.py\n"),
        "worker.py": WORKER,
    }
    app = new_app("occupied", files)
    app.server.wait(lambda: events(app) == ["start 1"])
    app.commit(version_txt="two")
    app.deployed()
    app.server.wait(lambda: events(app) == ["start 1", "stop 1", "start 2"])
    app.does("restart")
    app.server.wait(lambda: len(events(app)) == 5)
    app.does("config:set", "A=1")
    app.server.wait(lambda: events(app)[3:] == ["stop 2", "start 2", "stop 2", "start 3"])

    # Scaling what answers requests leaves the worker alone.
    pid = app.ps()["worker.1"]["pid"]
    app.does("ps:scale", "web=2")
    assert app.ps()["worker.1"]["pid"] == pid
    assert len(events(app)) == 7

    # One that crashes fails the push, and the old one comes back.
    # By the shell: Python may take longer to start than a push waits for a worker to end.
    overlap = "flock -n $DATA_ROOT/lock true || echo overlap 4 >>$DATA_ROOT/events"
    crash = f"worker: {overlap}; echo worker of the third version; exit 1\n"
    app.commit(Procfile=WEB + crash, version_txt="three")
    said = app.failed()
    assert any("v4 failed at starting its workers: worker.1 ended" in line for line in said)
    assert any("worker of the third version" in line for line in said)
    assert app.body() == "two"
    app.server.wait(lambda: events(app)[-1] == "start 3")
    assert "overlap" not in {event.split()[0] for event in events(app)}
    assert app.ps()["worker.1"]["state"] == "up"
    app.does("stop")
    assert events(app)[-1] == "stop 3"


def test_an_app_of_workers_alone(new_app: Callable[..., App]) -> None:
    app = new_app(
        "alone",
        {"Procfile": "worker: exec python3 -IS worker.py\n", "worker.py": WORKER},
        push=False,
    )
    said = app.deployed()
    assert not any("It listens" in line or "It answers" in line for line in said)
    app.server.wait(lambda: events(app) == ["start 1"])
    environ = json.loads((app.data / "worker.json").read_text())
    assert "PORT" not in environ
    app.does("ps:scale", "worker=0")
    assert events(app) == ["start 1", "stop 1"]
    app.does("ps:scale", "worker=1")
    app.server.wait(lambda: events(app)[-1] == "start 1")
