"""Scheduled jobs: what they run in, that a minute has one run and a job one at a time, and how they end.

A job of every minute runs as soon as it is deployed, for uWSGI looks at the clock every second; so
little has to wait for the next minute.
"""

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sandbox import Sandbox

from piku import procfs
from tests.e2e.support import App, web

TICK = """\
import json, os, sys, time
with open(os.environ["DATA_ROOT"] + "/ticks", "a") as file:
    tick = {"at": time.time(), "cwd": os.getcwd(), "env": dict(os.environ), "args": sys.argv[1:]}
    file.write(json.dumps(tick) + "\\n")
print("tick", *sys.argv[1:])
"""
# It ends once there is a file `go`.
LONG = 'echo started; until [ -e "$DATA_ROOT/go" ]; do sleep 0.05; done; cat version.txt; exit 3'
JOBS = f"""\
cron-tick: * * * * *  exec python3 -IS tick.py 'a  b' 100% "$SECRET"
cron-long: */1 * * * * {LONG}
"""
ENV = "TZ=Asia/Kathmandu\nPIKU_KEEP_RELEASES=1\nSECRET=pa$$word\n"


def ticks(app: App) -> list[dict[str, Any]]:
    file = app.data / "ticks"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def well_within_a_minute(server: Sandbox) -> None:
    """A run that begins at the end of a minute would note its time in the next."""
    server.wait(lambda: time.time() % 60 < 40)


def once_a_minute(app: App) -> None:
    counts = Counter(int(tick["at"] // 60) for tick in ticks(app))
    assert max(counts.values()) == 1, counts


def log(app: App, job: str) -> str:
    file = app.server.root / "logs" / app.name / f"{job}.1.log"
    return file.read_text() if file.exists() else ""


def next_minute(app: App) -> None:
    count = len(ticks(app))
    app.server.wait(lambda: len(ticks(app)) > count, timeout=75, what="the next minute's run")


def test_jobs_through_deploys(new_app: Callable[..., App], server: Sandbox) -> None:
    files = {**web("clock", env=ENV, procfile=JOBS, version_txt="one"), "tick.py": TICK}
    app = new_app("clock", files, push=False)
    well_within_a_minute(server)
    app.deployed()
    first = (server.root / "apps" / "clock").resolve()
    server.wait(lambda: ticks(app), what="the first run")
    server.wait(lambda: "started" in log(app, "cron-long"))

    # What it runs in is what every process of the app has.
    tick = ticks(app)[0]
    assert tick["args"] == ["a  b", "100%", "pa$$word"]
    assert Path(tick["cwd"]) == first
    seen = app.about()["env"]
    shared = "PATH HOME APP DATA_ROOT LOG_ROOT SECRET PIKU_RELEASE PIKU_COMMIT TZ"
    for name in shared.split():
        assert tick["env"][name] == seen[name], name
    assert tick["env"]["PIKU_CRON"] == "cron-tick"
    assert not [name for name in tick["env"] if name.startswith("UWSGI_")]
    assert "+0545 [piku] cron-tick of v1 starts" in log(app, "cron-tick")
    assert app.ps()["cron-*"]["state"] == "up"

    # Neither a restart nor a deploy ends a job, or runs one twice in its minute.
    app.does("restart")
    app.commit(version_txt="two")
    app.deployed()
    app.commit(version_txt="three")
    app.deployed()
    assert first.joinpath("version.txt").exists()
    next_minute(app)
    once_a_minute(app)
    server.wait(lambda: ticks(app)[-1]["env"]["PIKU_RELEASE"] == "3", timeout=75)
    assert Path(ticks(app)[-1]["cwd"]) == (server.root / "apps" / "clock").resolve()
    server.wait(lambda: "is skipped: the run before has not ended" in log(app, "cron-long"))

    # It ends as it would have, and with it goes what only it needed.
    (app.data / "go").touch()
    server.wait(lambda: "cron-long of v1 ended with exit code 3" in log(app, "cron-long"))
    assert "one" in log(app, "cron-long")
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
    sleep = f"sleep 1000.{len(command)}"  # no other test's
    sleeper = f"(trap '' TERM; setsid {sleep}) & echo up; {sleep}"
    bare = f"cron-bare: * * * * * exec env -i {sleep}\n"
    procfile = f"worker: {sleep}\ncron-long: * * * * * {sleeper}\n{bare}"
    app = new_app(f"{command}-it", {"Procfile": procfile, "ENV": "PIKU_STOP_TIMEOUT=5\n"})

    def mine() -> list[int]:
        pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
        found = [pid for pid in pids if procfs.command(pid) == sleep]
        with contextlib.suppress(FileNotFoundError):  # one has just ended
            return [pid for pid in found if os.stat(f"/proc/{pid}").st_uid == os.getuid()]
        return mine()

    server.wait(lambda: "up" in log(app, "cron-long") and len(mine()) >= 4)
    app.does(command, *(("--force",) if command == "destroy" else ()))
    assert mine() == []
    if command == "stop":
        assert "of v1 ended with exit code 143" in log(app, "cron-long")


def test_jobs_and_the_platform(own_server: Sandbox, new_app: Callable[..., App]) -> None:
    server = own_server
    procfile = f"cron-tick: * * * * * exec python3 -IS tick.py\ncron-long: * * * * * {LONG}\n"
    well_within_a_minute(server)
    app = new_app("steady", {"Procfile": procfile, "tick.py": TICK, "version.txt": "x"}, on=server)
    server.wait(lambda: ticks(app) and "started" in log(app, "cron-long"))
    server.stop_platform()
    server.start_platform()
    # What runs goes on, and what has run in this minute does not run again.
    next_minute(app)
    once_a_minute(app)
    server.wait(lambda: "is skipped" in log(app, "cron-long"))
    assert log(app, "cron-long").count("started") == 1
    # A power cut ends all; the next minute finds the job free.
    server.kill_platform()
    (app.data / "go").touch()
    server.start_platform()
    server.wait(lambda: log(app, "cron-long").count("started") == 2, timeout=75)
    server.wait(lambda: log(app, "cron-long").endswith(" s\n"))
    assert log(app, "cron-long").splitlines()[-2] == "x"
