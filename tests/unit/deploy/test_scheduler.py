"""The script of a scheduled job, run by sh at given times: when it runs its command, and what it leaves."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from piku.app import schedule as schedule_module
from piku.app.procfile import Job, Procfile
from piku.app.tree import EMPTY
from piku.deploy import scheduler
from piku.deploy.releases import Release
from piku.deploy.revision import Revision
from piku.paths import AppName, AppPaths
from piku.runtimes import GENERIC
from piku.runtimes.base import Context

BERLIN = ZoneInfo("Europe/Berlin")
RELEASE = Release(
    number=3, kind="push", description="", commit="c", by="x", created=0, checkout="v3"
)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A script, and the files that it leaves."""

    job: Job
    script: str
    checkout: Path
    log: Path
    status: Path


def job(folder: Path, text: str, command: str = "echo ran") -> Made:
    schedule, _ = schedule_module.parse(f"{text} x")
    made = Job(kind="cron-x", schedule=schedule, command=command)
    app = AppPaths(root=folder / "a root", name=AppName("shop"))
    app.logs.mkdir(parents=True)
    (app.releases / "v3").mkdir(parents=True)
    scheduler.state_folder(app).mkdir(parents=True)
    context = Context(
        tree=EMPTY,
        settings={"UWSGI_LOG_MAXSIZE": "1024"},
        checkout=app.releases,
        environment=app.envs,
        cache=app.cache,
    )
    source = Revision(
        procfile=Procfile(entries={}), runtime=GENERIC, environment="", context=context
    )
    return Made(
        job=made,
        script=scheduler.script(app, RELEASE, source, made),
        checkout=app.releases / "v3",
        log=app.logs / "cron-x.1.log",
        status=scheduler.state_folder(app) / "cron-x.json",
    )


def run(made: Made, moment: datetime | None = None, by: str = "uwsgi") -> int:
    """Run the script as if it were that moment; returns its exit code."""
    text = made.script
    if moment is not None:
        assert text.count("$(date '+%s %Y") == 1
        text = text.replace("$(date '+%s %Y", f"$(date -d @{moment.timestamp():.0f} '+%s %Y")
    env = {"PATH": "/usr/bin:/bin", "TZ": "Europe/Berlin"}
    return subprocess.run(["sh", "-c", text, "sh", by], env=env, check=False).returncode


def runs(made: Made) -> int:
    return made.log.read_text().splitlines().count("ran") if made.log.exists() else 0


def at(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


def status(made: Made) -> dict[str, int | None]:
    found: dict[str, int | None] = json.loads(made.status.read_text())
    return found


@pytest.mark.parametrize(
    ("text", "moment", "due"),
    [
        ("0 9-17 * * *", "2026-11-20T17:00", True),
        ("0 9-17 * * *", "2026-11-20T18:00", False),
        ("0 8 * * *", "2026-11-20T08:00", True),
        ("0 0 * jan,nov *", "2026-11-20T00:00", True),
        ("0 0 * jan *", "2026-11-20T00:00", False),
        ("0 0 * * sun", "2026-11-22T00:00", True),
        ("0 0 * * 7", "2026-11-21T00:00", False),
        # Either day will do, unless a field begins with `*`.
        ("0 0 13 * fri", "2026-11-13T00:00", True),
        ("0 0 13 * fri", "2026-11-20T00:00", True),
        ("0 0 13 * fri", "2026-11-21T00:00", False),
        ("0 0 */2 * fri", "2026-11-20T00:00", False),
        ("0 0 */2 * fri", "2026-11-27T00:00", True),
    ],
)
def test_when_it_is_due(tmp_path: Path, text: str, moment: str, due: bool) -> None:
    made = job(tmp_path, text)
    assert run(made, at(moment)) == 0
    assert runs(made) == due


def test_uwsgi_calls_it_in_each_minute_of_the_schedule(tmp_path: Path) -> None:
    lines = scheduler.lines(job(tmp_path, "*/20 5 * * *").job, "/a b/cron-x.sh")
    assert [value for _, value in lines] == [
        f"minute={minute},hour=-1,day=-1,month=-1,week=-1"
        " exec /usr/bin/env -u PIKU_PROCESS PIKU_CRON=cron-x /bin/sh '/a b/cron-x.sh' uwsgi"
        for minute in (0, 20, 40)
    ]


def test_a_minute_has_one_run(tmp_path: Path) -> None:
    made = job(tmp_path, "* * * * *")
    for second in (0, 1, 59):
        run(made, at(f"2026-11-20T10:00:{second:02}"))
    assert runs(made) == 1
    run(made, at("2026-11-20T10:01"))
    run(made, at("2026-11-20T10:01"), by="now")
    assert runs(made) == 3
    # A clock that was wrong is no reason to wait until then.
    run(made, at("2026-11-19T10:01"))
    assert runs(made) == 4


def test_when_the_clock_is_set_back_a_given_time_comes_once(tmp_path: Path) -> None:
    made = job(tmp_path, "0,30 2 * * *")
    for moment in (at("2026-10-25T02:00"), at("2026-10-25T02:30")):
        run(made, moment)
    for moment in (at("2026-10-25T02:00", 1), at("2026-10-25T02:30", 1)):
        run(made, moment)
    assert runs(made) == 2
    run(made, at("2026-10-26T02:00"))
    assert runs(made) == 3


def test_when_the_clock_is_set_back_intervals_go_on(tmp_path: Path) -> None:
    made = job(tmp_path, "*/30 * * * *")
    for fold in (0, 1):
        for minute in (0, 30):
            run(made, at(f"2026-10-25T02:{minute:02}", fold))
    assert runs(made) == 4


def test_what_it_leaves(tmp_path: Path) -> None:
    made = job(tmp_path, "* * * * *", "pwd; cat; echo oops >&2; printf end; exit 7")
    begun = int(time.time())
    assert run(made) == 7
    found = status(made)
    assert found["release"] == 3 and found["code"] == 7
    assert found["started"] is not None and found["ended"] is not None
    assert begun <= found["started"] <= found["ended"] <= time.time()
    first, *output, last = made.log.read_text().splitlines()
    assert output == [str(made.checkout), "oops", "end"]
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0[12]00 \[piku\] cron-x of v3"
    assert re.fullmatch(f"{stamp} starts", first)
    assert re.fullmatch(rf"{stamp} ended with exit code 7 after \d+ s", last)


@pytest.fixture
def long_run(tmp_path: Path) -> Iterator[tuple[Made, subprocess.Popen[bytes]]]:
    """A run that has begun, and ends once there is a file `go`."""
    made = job(tmp_path, "* * * * *", "echo ran; until [ -e go ]; do sleep 0.01; done")
    words = ["sh", "-c", made.script, "sh", "uwsgi"]
    with subprocess.Popen(words, start_new_session=True) as process:
        while not runs(made):
            time.sleep(0.01)
        yield made, process
        (tmp_path / "go").touch()


def test_never_twice_at_once(long_run: tuple[Made, subprocess.Popen[bytes]]) -> None:
    made, process = long_run
    assert status(made)["ended"] is None
    run(made)  # in this minute, or one on
    run(made, at("2026-11-20T10:01"))
    assert runs(made) == 1
    assert "is skipped: the run before has not ended" in made.log.read_text()
    (made.checkout / "go").touch()
    assert process.wait(10) == 0
    run(made, at("2026-11-20T10:02"))
    assert runs(made) == 2


def test_what_a_job_leaves_running_keeps_no_lock(tmp_path: Path) -> None:
    made = job(tmp_path, "* * * * *", "echo ran; sleep 5 >/dev/null 2>&1 &")
    run(made, at("2026-11-20T10:01"))
    run(made, at("2026-11-20T10:02"))
    assert runs(made) == 2


def test_a_job_that_is_ended_is_recorded(
    long_run: tuple[Made, subprocess.Popen[bytes]],
) -> None:
    made, process = long_run
    subprocess.run(["kill", "-TERM", "--", f"-{process.pid}"], check=True)
    assert process.wait(10) == 143
    assert status(made)["code"] == 143


def test_a_large_log_is_renamed(tmp_path: Path) -> None:
    made = job(tmp_path, "* * * * *", "seq 1 400")
    run(made, by="now")
    run(made, by="now")
    assert "400" in Path(f"{made.log}.old").read_text()
    assert made.log.read_text().count("starts") == 1
