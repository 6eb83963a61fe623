"""Each alert arrives at a real receiver, after what it tells of has happened."""

import contextlib
import email
import fcntl
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import SERVER, WEB, refused, web
from tests.extras.alerts.receiver import SECRET, Receiver, arrives, look, tell

CRASHING = "import sys\nprint('why it ended')\nsys.exit(7)\n"
HOSTILE = '<b>@everyone</b> "q" \\ $(id) é\u2028\x1b[31m'
LOOPING = "import time\nprint('begins', flush=True)\ntime.sleep(9999)\n"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(scope="module")
def told(server: Sandbox, receiver: Receiver) -> Sandbox:
    """The server, whose owner wants to be told."""
    tell(server, receiver)
    return server


def test_deploys(told: Sandbox, receiver: Receiver, new_app: NewApp) -> None:
    app = new_app("shop")
    told.wait(lambda: receiver.seen("shop"))  # by itself, after the deploy
    app.commit(f"It ends {HOSTILE}", server_py=f"print({HOSTILE!r})\n{CRASHING}")
    app.failed()
    told.wait(lambda: len(receiver.seen("shop")) > 1)
    [(first, live), (second, failed)] = receiver.seen("shop")
    assert (first, second) == ("live", "failed")
    assert "v1 (" in live and f"v2 (It ends {HOSTILE}" in failed
    detail = next(one["detail"] for one in receiver.alerts if one["what"] == failed)
    assert "web.1" in " ".join(detail)
    look(told)
    assert len(receiver.seen("shop")) == 2  # once


@pytest.mark.parametrize("kind", ["web", "worker"])
def test_what_keeps_being_killed(
    told: Sandbox, receiver: Receiver, new_app: NewApp, kind: str
) -> None:
    name = f"hit-{kind}"
    program = {"web": SERVER, "worker": LOOPING}[kind]
    files = {**web(name), f"{name}.py": program}
    own = f"{kind}: exec python3 -IS {name}.py\n"
    files["Procfile"] = own if kind == "web" else f"{WEB}{own}"
    app, enough = new_app(name, files), threading.Event()

    def kill() -> None:
        while not enough.wait(0.3):
            for process in told.processes():
                if f"{name}.py" in str(process):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process.pid, signal.SIGKILL)

    killing = threading.Thread(target=kill)
    killing.start()
    try:
        what = arrives(app, receiver, "problem", f"{kind}.1 keeps ending")
    finally:
        enough.set()
        killing.join()
    arrives(app, receiver, "solved", f"over: {what}")  # once it has run for long enough
    told.wait(lambda: app.status() == 200)


def test_a_job_that_fails(told: Sandbox, receiver: Receiver, new_app: NewApp) -> None:
    app = new_app("jobs", web("jobs", procfile="cron-report: 0 0 1 1 * test -e good\n"))
    assert app.says("cron:run", "report").returncode == 1
    arrives(app, receiver, "problem", "cron-report failed with exit code 1")
    (told.root / "apps" / "jobs" / "good").touch()
    assert app.says("cron:run", "report").returncode == 0
    arrives(app, receiver, "solved", "over: cron-report failed with exit code 1")


def test_backups_that_fail(told: Sandbox, receiver: Receiver, new_app: NewApp) -> None:
    """The folder that a schedule keeps them in goes away, and comes back."""
    app, disk = new_app("kept"), told.base / "disk"
    disk.mkdir()
    # No minute ends before the folder is gone, and what is missed is then below two minutes old.
    told.wait(lambda: 20 < time.time() % 60 < 35, 61)
    app.does("backup:schedule", "* * * * *", "--to", str(disk / "backups"))
    app.does("backup:run")
    look(told)
    shutil.rmtree(disk / "backups")
    disk.chmod(0o500)  # so that nobody makes it anew
    told.wait(lambda: look(told) or len(receiver.seen("kept")) > 1, 200)
    event, what = receiver.seen("kept")[-1]
    assert event == "problem" and what.startswith("the last good backup (* * * * *) is 1m old: ")
    assert "cannot create directory" in what and "Permission denied" in what
    for words in (["status"], ["doctor", "kept"]):
        assert "the last good backup (* * * * *) is" in told.piku(*words).stdout
    # A day later, and for another reason, it is the same problem.
    state = told.root / "envs" / "kept" / "backup-state.json"
    later = json.loads(state.read_text())
    later |= {"succeeded": later["succeeded"] - 86400, "error": "another"}
    state.write_text(json.dumps(later))
    assert "the last good backup (* * * * *) is 1d old" in told.piku("status").stdout
    look(told)
    assert receiver.seen("kept")[-1] == (event, what)
    told.wait(lambda: not any("backup:run" in str(one) for one in told.processes()))
    disk.chmod(0o700)
    app.does("backup:run")
    told.wait(lambda: look(told) or receiver.seen("kept")[-1][0] == "solved", 60)
    assert receiver.seen("kept")[2:] == [("solved", receiver.seen("kept")[-1][1])]
    app.does("backup:schedule", "--off")


def test_what_nobody_takes_is_sent_again(
    told: Sandbox, receiver: Receiver, new_app: NewApp
) -> None:
    """Later each time, and to the same receiver no more than once in a look."""
    receiver.status = 500
    waiting = told.root / "alerts.json"

    def pending() -> list[dict[str, float]]:
        found: list[dict[str, float]] = json.loads(waiting.read_text())["pending"]
        return found

    apps = [new_app(name) for name in ("again", "too")]
    told.wait(lambda: [one["attempts"] >= 1 for one in pending()] == [True, True])
    assert "not delivered" in told.piku("alerts").stdout
    waits = []
    for _ in range(3):
        # A look that finds the platform's own at it does nothing: that comes every even minute.
        told.wait(lambda: 10 < time.time() % 120 < 100, 40)
        due(waiting)
        before = receiver.asked
        look(told)
        assert receiver.asked == before + 1
        waits.append(min(round((one["due"] - time.time()) / 60) for one in pending()))
    assert waits == sorted(waits) and len({*waits}) == 3, waits
    assert not any(receiver.seen(app.name) for app in apps)
    receiver.status = 204
    told.wait(lambda: 10 < time.time() % 120 < 100, 40)
    due(waiting)
    look(told)
    assert [event for app in apps for event, _ in receiver.seen(app.name)] == ["live", "live"]
    assert pending() == []


def due(waiting: Path) -> None:
    """The time has come for all that waits."""
    with waiting.with_suffix(".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a look writes back what it has read
        state = json.loads(waiting.read_text())
        for one in state["pending"]:
            one["due"] = 0
        new = waiting.with_suffix(".new")
        new.write_text(json.dumps(state))
        new.replace(waiting)


def test_no_deploy_waits_for_a_receiver(told: Sandbox, receiver: Receiver, new_app: NewApp) -> None:
    """Which takes each alert and answers none: it is given up after 10 s."""
    app = new_app("quick")

    def pushes() -> list[float]:
        taken = []
        for _ in range(3):
            app.commit(server_py=app.repository.joinpath("server.py").read_text() + "\n")
            began = time.monotonic()
            app.deployed()
            taken.append(time.monotonic() - began)
        return taken

    told.wait(lambda: ("live", "v1 (First version, by laptop) went live") in receiver.seen("quick"))
    before = pushes()
    told.wait(lambda: len(receiver.seen("quick")) == 4)
    asked = receiver.asked
    with receiver.hanging():
        app.commit(again_txt="x")
        app.deployed()
        told.wait(lambda: receiver.asked > asked)
        meanwhile = pushes()
        assert len(receiver.seen("quick")) == 4
    print(f"pushes took {before} s, and {meanwhile} s while a receiver answered nothing")
    assert min(meanwhile) < 10
    due(told.root / "alerts.json")
    for number in range(5, 9):
        arrives(app, receiver, "live", f"v{number} (")


def test_the_heartbeat_stops_while_something_is_wrong(
    told: Sandbox, receiver: Receiver, new_app: NewApp
) -> None:
    app = new_app("calm", web("calm", procfile="cron-often: 0 0 1 1 * false\n"))
    app.does("config:set", f"PIKU_HEARTBEAT_URL={receiver.url}/calm")
    told.wait(lambda: "/calm" in receiver.beats)
    assert app.says("cron:run", "often").returncode == 1
    arrives(app, receiver, "problem", "cron-often failed with exit code 1")
    assert "/alive" in receiver.beats
    receiver.beats.clear()
    look(told)
    assert receiver.beats == []


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


@pytest.mark.parametrize("kind", ["ntfy", "slack", "discord"])
def test_other_receivers(told: Sandbox, receiver: Receiver, new_app: NewApp, kind: str) -> None:
    app = new_app(kind)
    app.does("config:set", f"PIKU_WEBHOOK_FORMAT={kind}")
    assert app.does("alerts:test") == "the webhook took it\n"
    # That the change of settings went live may be told before, or after.
    said = next(one for one in receiver.bodies if f"{kind}: this is a test" in one)
    text = (
        said if kind == "ntfy" else json.loads(said)[{"slack": "text", "discord": "content"}[kind]]
    )
    assert text.startswith(f"{kind}: this is a test: alerts arrive\n")


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
