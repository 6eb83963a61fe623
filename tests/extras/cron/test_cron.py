"""`piku cron` and `piku cron:run`."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sandbox import Sandbox

from tests.e2e.support import App, refused, web

LONG = 'echo started; until [ -e "$DATA_ROOT/go" ]; do sleep 0.05; done'
JOBS = f"""\
cron-tick: * * * * *  exit 5
cron-long: */1 * * * * {LONG}
cron-rare: 0 0 29 feb *  echo rare; echo oops >&2; printf end; exit 7
"""


def jobs(app: App) -> dict[str, dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(app.does("cron", "--json"))
    return {row["job"]: row for row in rows}


def test_the_table_and_a_run_by_hand(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("clock", web("clock", env="TZ=Asia/Kathmandu\n", procfile=JOBS))
    server.wait(lambda: jobs(app)["cron-long"]["running_since"])
    server.wait(lambda: jobs(app)["cron-tick"]["code"] == 5)
    table = app.does("cron").splitlines()
    assert re.split(r"  +", table[0])[:4] == ["JOB", "SCHEDULE", "NEXT RUN", "LAST RUN"]
    assert [line.split()[0] for line in table[1:]] == ["cron-tick", "cron-long", "cron-rare"]
    assert all("+0545" in line for line in table[1:])
    before, rows = time.time(), jobs(app)
    due = datetime.fromisoformat(rows["cron-tick"]["next"]).timestamp()
    assert before < due <= time.time() + 60
    assert rows["cron-rare"]["next"].endswith("-02-29T00:00:00+05:45")
    assert (rows["cron-rare"]["last"], rows["cron-rare"]["code"]) == (None, None)
    assert rows["cron-long"]["schedule"] == "*/1 * * * *" and rows["cron-long"]["last"] is None

    # By hand: shown, logged, with its exit code, and never twice at once.
    result = app.asked("cron:run", "rare")
    assert (result.returncode, result.stdout) == (7, "rare\noops\nend\n")
    assert jobs(app)["cron-rare"]["code"] == 7
    shown = app.does("logs", "cron-rare", "--no-follow")
    assert "cron-rare.1 | rare\ncron-rare.1 | oops\n" in shown
    refused(app.says("cron:run", "cron-long"), 1, "cron-long is still running")
    refused(app.says("cron:run", "nope"), 1, "'nope'", "cron-tick, cron-long, cron-rare")

    # One that the app no longer has is shown until it has ended.
    app.commit(Procfile="web: exec python3 -IS server.py\n")
    app.deployed()
    assert jobs(app)["cron-long"]["schedule"] == "" and "(gone)" in app.does("cron")
    (app.data / "go").touch()
    server.wait(lambda: jobs(app) == {})
    assert "has no scheduled jobs" in app.says("cron").stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_by_hand_is_ended_with_its_command(
    new_app: Callable[..., App], server: Sandbox, number: int
) -> None:
    name = f"hand{number}"
    app = new_app(name, {"Procfile": "cron-wait: 0 0 29 2 * echo waiting; exec sleep 1000\n"})
    command = [str(server.checkout / "bin" / "piku"), "cron:run", name, "wait"]
    with subprocess.Popen(
        command, env=server.server_env(), stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout is not None and client.stdout.readline() == "waiting\n"
        os.kill(client.pid, number)
        assert client.wait(30) == 128 + number
    assert (jobs(app)["cron-wait"]["code"], jobs(app)["cron-wait"]["running_since"]) == (
        128 + number, None,
    )  # fmt: skip


def test_a_job_of_a_stopped_app(new_app: Callable[..., App]) -> None:
    app = new_app("stopped", {"Procfile": "worker: sleep 1000\ncron-x: @daily echo $PIKU_CRON\n"})
    app.does("stop")
    assert jobs(app)["cron-x"]["next"] is None
    assert app.does("cron:run", "x") == "cron-x\n"


def test_a_job_sees_values_of_several_lines(new_app: Callable[..., App]) -> None:
    job = 'cron-key: @yearly printf %s "$KEY" >"$DATA_ROOT/key"\n'
    app = new_app("keys", web("keys", env='KEY="one\n two "\n', procfile=job))
    app.does("cron:run", "cron-key")
    assert (app.data / "key").read_text() == "one\n two "


def test_a_job_that_is_no_more_is_forgotten(new_app: Callable[..., App]) -> None:
    app = new_app("forgets", {"Procfile": "worker: sleep 1000\ncron-bad: @yearly exit 7\n"})
    assert app.says("cron:run", "bad").returncode == 7
    folder = app.server.root / "releases" / "forgets" / "cron"
    assert (folder / "cron-bad.json").exists()
    app.does("stop")
    assert (folder / "cron-bad.json").exists()
    app.commit(Procfile="worker: sleep 1000\n")
    app.deployed()
    assert not (folder / "cron-bad.json").exists()
