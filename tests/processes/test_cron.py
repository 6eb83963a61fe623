"""Scheduled jobs: what they run in, that a minute has one run and a job one at a time, and how they end.

A job of every minute runs as soon as it is deployed, for uWSGI looks at the clock every second; so little
has to wait for the next minute.
"""

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sandbox import Completed, Sandbox

from piku import files as files_module
from piku import procfs
from tests.e2e.support import App, refused, web

TICK = """\
import json, os, sys, time
with open(os.environ["DATA_ROOT"] + "/ticks", "a") as file:
    file.write(json.dumps({"at": time.time(), "cwd": os.getcwd(), "env": dict(os.environ), "args": sys.argv[1:]}) + "\\n")
print("tick", *sys.argv[1:])
"""
# It ends once there is a file `go`, or when it is told to.
LONG = 'echo started; until [ -e "$DATA_ROOT/go" ]; do sleep 0.05; done; cat version.txt; exit 3'
JOBS = f"""\
cron-tick: * * * * *  exec python3 -IS tick.py 'a  b' 100% "$SECRET"
cron-long: */1 * * * * {LONG}
cron-rare: 0 0 29 feb *  echo rare; echo oops >&2; exit 7
"""
ENV = "TZ=Asia/Kathmandu\nPIKU_KEEP_RELEASES=1\nSECRET=pa$$word\n"


def jobs(app: App) -> dict[str, dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(app.does("cron", "--json"))
    return {row["job"]: row for row in rows}


def ticks(app: App) -> list[dict[str, Any]]:
    file = app.data / "ticks"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def once_a_minute(app: App) -> None:
    counts = Counter(
        int(tick["at"] // 60) for tick in ticks(app) if "PIKU_BY_HAND" not in tick["env"]
    )
    assert max(counts.values()) == 1, counts


def log(app: App, job: str) -> list[str]:
    text = (app.server.root / "logs" / app.name / f"{job}.1.log").read_text()
    return re.sub("\x1b.*?\x07", "", text).splitlines()


def next_minute(app: App, count: int) -> None:
    """Wait until the job has run in one minute more than `count` ticks ago."""
    app.server.wait(lambda: len(ticks(app)) > count, timeout=75, what="the next minute's run")


def by_hand(app: App, job: str) -> Completed:
    """Run a job now, or as soon as the run that has just become due has ended."""
    results = (app.asked("cron:run", job) for _ in files_module.poll(time.monotonic() + 30))
    return next(result for result in results if "is still running" not in result.stderr)


def test_jobs_through_deploys(new_app: Callable[..., App], server: Sandbox) -> None:
    files = {**web("clock", env=ENV, procfile=JOBS, version_txt="one"), "tick.py": TICK}
    app = new_app("clock", files, push=False)
    assert (
        "       Scheduled: cron-tick, cron-long, cron-rare; see when with: piku cron clock"
        in app.deployed()
    )
    first = (server.root / "apps" / "clock").resolve()
    server.wait(lambda: ticks(app), what="the first run")
    server.wait(
        lambda: jobs(app)["cron-long"]["running_since"] and jobs(app)["cron-tick"]["code"] == 0
    )

    # What it runs in is what every process of the app has.
    tick = ticks(app)[0]
    assert tick["args"] == ["a  b", "100%", "pa$$word"]
    assert Path(tick["cwd"]) == first
    seen = app.about()["env"]
    for name in (
        "PATH",
        "HOME",
        "APP",
        "DATA_ROOT",
        "LOG_ROOT",
        "SECRET",
        "PIKU_RELEASE",
        "PIKU_COMMIT",
        "TZ",
    ):
        assert tick["env"][name] == seen[name], name
    assert tick["env"]["PIKU_CRON"] == "cron-tick"
    assert not [name for name in tick["env"] if name.startswith("UWSGI_")]

    # The table, in the app's time zone.
    table = app.does("cron").splitlines()
    assert re.split(r"  +", table[0])[:4] == ["JOB", "SCHEDULE", "NEXT RUN", "LAST RUN"]
    assert [line.split()[0] for line in table[1:]] == ["cron-tick", "cron-long", "cron-rare"]
    assert all("+0545" in line for line in table[1:])
    now, rows = time.time(), jobs(app)
    assert now < datetime.fromisoformat(rows["cron-tick"]["next"]).timestamp() <= now + 60
    assert rows["cron-rare"]["next"].endswith("-02-29T00:00:00+05:45")
    assert (rows["cron-rare"]["last"], rows["cron-rare"]["code"]) == (None, None)
    assert 0 < rows["cron-tick"]["duration"] < 30
    assert rows["cron-long"]["schedule"] == "*/1 * * * *" and rows["cron-long"]["last"] is None
    assert app.ps()["cron-*"]["state"] == "up"
    assert 500_000 < app.ps()["cron-*"]["memory"] < 60_000_000  # with the jobs that it has started

    # By hand: shown, logged, with its exit code, and never twice at once.
    result = app.asked("cron:run", "rare")
    assert (result.returncode, result.stdout) == (7, "rare\noops\n")
    assert jobs(app)["cron-rare"]["code"] == 7
    shown = [
        line.partition(" ")[2] for line in app.does("logs", "cron-rare", "--no-follow").splitlines()
    ]
    assert shown[1:3] == ["cron-rare.1 | rare", "cron-rare.1 | oops"]
    assert "v1 begins by hand" in shown[0] and "v1 ended with exit code 7 after" in shown[3]
    assert "+0545" in shown[0]
    refused(app.says("cron:run", "cron-long"), 1, "cron-long is still running")
    refused(app.says("cron:run", "nope"), 1, "'nope'", "cron-tick, cron-long, cron-rare")
    refused(app.says("ps:scale", "cron-tick=0"), 1, "'cron-tick'")

    # Neither a restart nor a deploy ends a job, or runs one twice in its minute.
    pid = json.loads((server.root / "releases/clock/cron/cron-long.json").read_text())["running"][
        "job"
    ][0]
    app.does("restart")
    app.commit(version_txt="two")
    app.deployed()
    app.commit(version_txt="three")
    app.deployed()
    assert Path(f"/proc/{pid}/cwd").resolve() == first and (first / "version.txt").exists()
    count = len(ticks(app))
    next_minute(app, count)
    once_a_minute(app)
    assert ticks(app)[-1]["env"]["PIKU_RELEASE"] == "3"
    assert Path(ticks(app)[-1]["cwd"]) == (server.root / "apps" / "clock").resolve()
    server.wait(
        lambda: any(" skipped: the run that began at " in line for line in log(app, "cron-long"))
    )

    # It ends as it would have, and with it goes what only it needed.
    (app.data / "go").touch()
    server.wait(lambda: jobs(app)["cron-long"]["code"] == 3)
    lines = log(app, "cron-long")
    # What follows its end is the next release's, if that was at the very turn of a minute.
    [end, *_] = (n for n, line in enumerate(lines) if " ended with exit code 3 after " in line)
    assert "one" in lines[:end] and " v1 ended " in lines[end]
    assert not [line for line in lines[:end] if "v2" in line or "v3" in line]
    app.commit(version_txt="four")
    app.deployed()
    app.commit(version_txt="five")
    app.deployed()
    assert not first.exists()
    once_a_minute(app)


@pytest.mark.parametrize("command", ["stop", "destroy"])
def test_the_end_of_an_app_ends_its_jobs(
    new_app: Callable[..., App], server: Sandbox, command: str
) -> None:
    sleeper = "(trap '' TERM; setsid sleep 1000.5) & echo up; sleep 1000.5"
    bare = "cron-bare: * * * * * exec env -i sleep 1000.5\n"
    procfile = f"worker: sleep 1000.5\ncron-long: * * * * * {sleeper}\n{bare}"
    name = f"{command}-it"
    app = new_app(name, {"Procfile": procfile, "ENV": "PIKU_STOP_TIMEOUT=1\n"})

    def mine() -> list[int]:
        found = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        return [pid for pid in found if procfs.command(pid) == "sleep 1000.5"]

    server.wait(lambda: jobs(app)["cron-long"]["running_since"] and len(mine()) >= 4)
    if command == "destroy":
        app.does("destroy", "--force")
        assert mine() == []
        kept = (f"{name}@lock", f"{name}@activation")
        assert not [path for path in server.root.rglob(f"*{name}*") if path.name not in kept]
        return
    app.does("stop")
    assert mine() == []
    row = jobs(app)["cron-long"]
    assert (row["next"], row["running_since"], row["code"]) == (None, None, 143)
    assert "was ended by signal 15" in log(app, "cron-long")[-1]
    assert app.ps() == {}


def test_a_removed_job_and_a_bad_one(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app(
        "change",
        {"Procfile": f"worker: sleep 1000\ncron-long: * * * * * {LONG}\n", "version.txt": "x"},
    )
    server.wait(lambda: jobs(app)["cron-long"]["running_since"])
    app.commit(Procfile="worker: sleep 1000\ncron-long: 61 * * * * x\n")
    assert "Procfile line 2: cron-long: in the minute '61', 61 is not within 0 to 59" in "\n".join(
        app.failed()
    )
    app.commit(Procfile="worker: sleep 1000\n")
    app.deployed()
    # It runs on, and is shown until it has ended.
    assert jobs(app)["cron-long"]["schedule"] == "" and "(gone)" in app.does("cron")
    (app.data / "go").touch()
    server.wait(lambda: jobs(app) == {})
    assert "has no scheduled jobs" in app.says("cron").stderr
    assert sorted(app.ps()) == ["worker.1"]


def test_log_rotation(new_app: Callable[..., App], server: Sandbox) -> None:
    files = {
        "Procfile": "cron-much: 0 0 29 2 * seq -f 'line %04g' 1 2000\n",
        "ENV": "UWSGI_LOG_MAXSIZE=4096\n",
    }
    app = new_app("chatty", files)
    for _ in range(2):
        assert app.does("cron:run", "cron-much").splitlines()[-1] == "line 2000"
    logs = server.root / "logs" / "chatty"
    assert sorted(path.name for path in logs.glob("cron-*")) == [
        "cron-much.1.log",
        "cron-much.1.log.old",
    ]
    for path in logs.glob("cron-*"):
        assert path.stat().st_size <= 70_000
        assert path.stat().st_mode & 0o777 == 0o640
    shown = app.does("logs", "cron-much", "-n", "3", "--no-follow").splitlines()
    assert [line.rpartition(" | ")[2] for line in shown[:2]] == ["line 1999", "line 2000"]
    assert "v1 ended with exit code 0" in shown[2]


def test_jobs_and_the_platform(own_server: Sandbox, new_app: Callable[..., App]) -> None:
    server = own_server
    procfile = f"cron-tick: * * * * * exec python3 -IS tick.py\ncron-long: * * * * * {LONG}\n"
    app = new_app("steady", {"Procfile": procfile, "tick.py": TICK, "version.txt": "x"}, on=server)
    server.wait(lambda: ticks(app) and jobs(app)["cron-long"]["running_since"])
    since = jobs(app)["cron-long"]["running_since"]
    server.stop_platform()
    server.start_platform()
    # What runs goes on, and what has run in this minute does not run again.
    assert jobs(app)["cron-long"]["running_since"] == since
    assert app.ps()["cron-*"]["state"] in ("up", "starting")
    count = len(ticks(app))
    next_minute(app, count)
    once_a_minute(app)
    server.wait(lambda: any("skipped" in line for line in log(app, "cron-long")))
    # A power cut ends all; the next minute finds the job free.
    server.kill_platform()
    row = jobs(app)["cron-long"]
    assert (row["running_since"], row["last"]) == (None, since)
    assert row["code"] in (None, 137)  # its runner may have lived to see it
    (app.data / "go").touch()
    server.start_platform()
    result = by_hand(app, "tick")
    assert (result.returncode, result.stdout) == (0, "tick\n")
    result = by_hand(app, "long")
    assert (result.returncode, result.stdout) == (3, "started\nx")


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
        assert client.wait(10) == 128 + number
    row = jobs(app)["cron-wait"]
    assert (row["code"], row["running_since"]) == (128 + number, None)
