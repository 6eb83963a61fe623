"""The runner, called as uWSGI calls it, but at minutes that the test names; and what it leaves on disk."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku import files, procfs, subprocesses
from piku.app import schedule as schedules
from piku.deploy import cron_runner, instances, prune, scheduler
from piku.errors import PikuError
from piku.operate import log_timestamps
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor

WAITS = 'echo up; until [ -e "$DATA_ROOT/go" ]; do sleep 0.02; done; exit 3'
Jobs = Callable[..., Job]


@dataclass(frozen=True, kw_only=True)
class App:
    """An app with one job, `cron-x`, whose vassal is enabled and which the test calls in its place."""

    app: AppPaths
    folder: Path

    def start(self, minute: int) -> subprocess.Popen[bytes]:
        argv = [subprocesses.system_python(), "-IS", "cron.py", "cron-x", str(minute % 60)]
        return subprocess.Popen(argv, cwd=self.folder, env={"TZ": "UTC"}, stdin=subprocess.DEVNULL)

    def call(self, minute: int) -> None:
        with self.start(minute) as runner:
            assert runner.wait(20) == 0

    @property
    def state(self) -> dict[str, Any]:
        return scheduler.states(self.app).get("cron-x", {})

    @property
    def log(self) -> list[str]:
        """The job's log, times and numbers that vary taken out."""
        text = log_timestamps.plain_text(files.read(self.app.logs / "cron-x.1.log"))
        return re.sub(r"[\d-]{10} [\d:]{8} UTC |\d+\.\d s|(?<=at )[\d:]{8}", "", text).splitlines()

    def go(self) -> None:
        (self.app.data / "go").touch()

    def running(self) -> dict[str, Any]:
        """The run at work, once its command has said something."""
        wait(lambda: "up" in self.log and self.state["running"]["job"])
        found: dict[str, Any] = self.state["running"]
        return found


def wait(condition: Callable[[], object]) -> None:
    for _ in files.poll(time.monotonic() + 20):
        if condition():
            return
    pytest.fail("it did not come")


def now() -> int:
    return time.gmtime().tm_min


@pytest.fixture
def started(paths: Paths, shop: AppPaths, job: Jobs) -> Iterator[Callable[[str], App]]:
    def make(command: str) -> App:
        made = job(shop, {"Procfile": f"cron-x: * * * * * {command}\n"})
        new = instances.create(made)
        emperor.enable(paths, new.vassals(shop.name))
        return App(app=shop, folder=shop.activation(new.number))

    yield make
    scheduler.end(shop, 0.1)


def test_one_run_a_minute(started: Callable[[str], App]) -> None:
    app, minute = started("echo hello"), now()
    app.call(minute)
    app.call(minute)
    assert app.log == ["-----> v1 begins", "hello", "-----> v1 ended with exit code 0 after "]
    app.call(minute + 59)  # late by almost an hour: it is the minute that counts
    assert len(app.log) == 6
    assert (app.state["last"]["code"], "running" in app.state) == (0, False)


def test_one_run_at_a_time(started: Callable[[str], App]) -> None:
    app, minute = started(WAITS), now()
    with app.start(minute - 1) as runner:
        since = app.running()["started"]
        assert list(scheduler.running(app.app)) == ["cron-x"]
        app.call(minute - 1)  # of another activation, say
        assert len(app.log) == 2
        app.call(minute)
        app.call(minute)
        assert app.log[2:] == ["-----> skipped: the run that began at  is still at work"]
        app.go()
        assert runner.wait(20) == 0
    assert app.log[-1] == "-----> v1 ended with exit code 3 after "
    assert (app.state["last"]["code"], app.state["last"]["started"]) == (3, since)
    assert scheduler.running(app.app) == {}


def test_none_begins_once_the_vassal_is_disabled(
    started: Callable[[str], App], paths: Paths
) -> None:
    app = started("echo hello")
    emperor.disable(paths, emperor.enabled(paths))
    app.call(now())
    assert app.log == []


def test_none_begins_at_another_time(shop: AppPaths, job: Jobs, paths: Paths) -> None:
    today = datetime.now(UTC).timetuple()
    other = (today.tm_wday + 3) % 7
    new = instances.create(job(shop, {"Procfile": f"cron-x: * * * * {other} echo hello\n"}))
    emperor.enable(paths, new.vassals(shop.name))
    app = App(app=shop, folder=shop.activation(new.number))
    app.call(now())
    assert app.log == []


def test_a_runner_that_was_killed_leaves_its_job_the_only_one(
    started: Callable[[str], App],
) -> None:
    app, minute = started(WAITS), now()
    with app.start(minute - 1) as runner:
        run = app.running()
        runner.kill()
    app.call(minute)
    assert app.log[-1] == "-----> skipped: the run that began at  is still at work"
    os.kill(run["job"][0], signal.SIGKILL)
    wait(lambda: not scheduler.running(app.app))
    # Nobody saw it end; the next one begins.
    app.go()
    app.call(minute + 59)
    assert app.log[-1] == "-----> v1 ended with exit code 3 after "


def test_a_job_without_its_variables_is_ended(started: Callable[[str], App]) -> None:
    app = started(
        "(exec env -i setsid sleep 600) & exec env -i sh -c 'echo up; sleep 600 & sleep 600'"
    )
    with app.start(now()) as runner:
        job = app.running()["job"][0]
        below = [job, *procfs.descendants(job)]
        assert len(below) == 4
        scheduler.end(app.app, 1)
        assert not [pid for pid in below if procfs.is_running(pid)]
        assert runner.wait(20) == 0
    assert scheduler.running(app.app) == {}


def test_what_does_not_end_is_named(started: Callable[[str], App]) -> None:
    app = started("echo up; exec sleep 600")
    with app.start(now()) as runner:
        app.running()
        runner.send_signal(signal.SIGSTOP)  # it will not see its job end
        with pytest.raises(
            PikuError, match=rf"cron-x of shop did not end: process {runner.pid} \("
        ):
            scheduler.end(app.app, 0.1)
        runner.send_signal(signal.SIGCONT)
        assert runner.wait(20) == 0
    scheduler.end(app.app, 0.1)


def test_a_process_of_another_boot_or_start_is_another(started: Callable[[str], App]) -> None:
    mine = cron_runner.identity(os.getpid())
    assert cron_runner.is_alive({"job": None, "runner": mine})
    assert cron_runner.is_alive({"job": mine, "runner": [1 << 22, "5", mine[2]]})
    for other in (
        [mine[0], "1", mine[2]],
        [mine[0], mine[1], "boot"],
        [1 << 22, "", mine[2]],
        None,
    ):
        assert not cron_runner.is_alive({"job": other, "runner": [1 << 22, "5", mine[2]]})


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}"])
def test_a_state_that_was_damaged_is_begun_anew(started: Callable[[str], App], text: str) -> None:
    app = started("echo hello")
    files.write(scheduler.states_folder(app.app) / "cron-x.json", text)
    app.call(now())
    assert app.log[1:2] == ["hello"]


def test_what_a_job_leaves_behind_may_still_write(started: Callable[[str], App]) -> None:
    app, minute = started(f"({WAITS.replace('exit 3', 'echo late')}) & printf early"), now()
    with app.start(minute - 1) as runner:
        wait(lambda: "last" in app.state)
        assert app.state["last"]["code"] == 0
        assert scheduler.running(app.app) == {}
        app.go()
        assert runner.wait(20) == 0
    assert "early" in "\n".join(app.log) and app.log[-1] == "late"
    assert "-----> v1 ended with exit code 0 after " in app.log


def test_a_job_that_cannot_start(started: Callable[[str], App]) -> None:
    app = started("echo hello")
    told = json.loads((app.folder / "cron.json").read_text())
    files.write_json(app.folder / "cron.json", {**told, "cwd": "/nowhere"})
    app.call(now())
    assert app.log[1:] == [
        "/nowhere: No such file or directory",
        "-----> v1 ended with exit code 126 after ",
    ]
    files.remove(app.app.logs)
    app.call(now() - 1)  # a log that cannot be written is no reason not to run
    assert app.state["last"]["code"] == 126


def test_a_jobs_signals_are_as_a_program_expects_them(started: Callable[[str], App]) -> None:
    app = started("yes | head -1; grep -E 'Sig(Blk|Ign)' /proc/self/status")
    app.call(now())
    assert app.log[1] == "y"
    masks = dict(line.split(":\t") for line in app.log[2:4])
    # 32 and 33 are the C library's own: no program can set them, whoever started these tests may have.
    kept = ~(1 << 31 | 1 << 32)
    assert {name: int(mask, 16) & kept for name, mask in masks.items()} == {
        "SigBlk": 0,
        "SigIgn": 0,
    }


def test_files_stay_while_a_job_needs_them(started: Callable[[str], App], job: Jobs) -> None:
    app = started(WAITS)
    first = json.loads((app.folder / "cron.json").read_text())["checkout"]
    with app.start(now()) as runner:
        app.running()
        job(app.app, {"Procfile": "worker: x\n"})
        prune.prune(app.app, 1)
        assert (app.app.releases / first).is_dir()
        assert scheduler.states_folder(app.app).is_dir()
        app.go()
        assert runner.wait(20) == 0
    prune.prune(app.app, 0)
    assert not (app.app.releases / first).exists()
    assert scheduler.states_folder(app.app).is_dir()


# A disk of the test's own at $1; the job, beside its runner, waits while there is a file `wait`.
FULL_DISK = """\
set -e
mount -t tmpfs -o size=64k none "$1"
mkdir "$1/state" "$1/logs"
touch "$1/state/lock"
call() { TZ=UTC "$2" -IS cron.py cron-x "$1"; }
[ -z "$3" ] || call $(($4 - 4)) "$2"
dd if=/dev/zero of="$1/fill" bs=1k 2>/dev/null || true
call $4 "$2"
call $4 "$2"
touch wait
call $(($4 - 1)) "$2" &
until [ -e waits ]; do sleep 0.02; done
call $4 "$2"
call $(($4 - 2)) "$2"
rm wait
wait
rm "$1/fill"
call $(($4 - 3)) "$2"
ls -A "$1/state"
"""


@pytest.mark.parametrize("before", ["", "yes"])
def test_on_a_full_disk_jobs_run_all_the_same(
    started: Callable[[str], App], tmp_path: Path, before: str
) -> None:
    app = started(
        "echo ran >>ran; [ ! -e wait ] || touch waits; while [ -e wait ]; do sleep 0.02; done"
    )
    disk = tmp_path / "disk"
    disk.mkdir()
    told = json.loads((app.folder / "cron.json").read_text())
    more = {"state": str(disk / "state"), "logs": str(disk / "logs"), "cwd": str(app.folder)}
    files.write_json(app.folder / "cron.json", {**told, **more})
    words = [str(disk), subprocesses.system_python(), before, str(now())]
    done = subprocess.run(
        ["unshare", "-rm", "/bin/sh", "-c", FULL_DISK, "sh", *words],
        cwd=app.folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if "unshare" in done.stderr:
        pytest.skip(done.stderr)  # no disk of one's own here
    assert (done.returncode, done.stderr) == (0, "")
    # Once in each minute, and not while the one before waits; with room again it is as ever.
    runs = (app.folder / "ran").read_text().split()
    assert len(runs) == (4 if before else 3)
    assert done.stdout.split() == ["cron-x.json", "lock"]


# --- the schedule, as the runner reads it --------------------------------------------------------


@contextmanager
def clock(zone: str) -> Iterator[None]:
    """The process's time zone, which is what the runner goes by."""
    before = os.environ.get("TZ")
    try:
        os.environ["TZ"] = zone
        time.tzset()
        yield
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()


FIELDS = st.sampled_from(["*", "*/7", "2", "0,30", "1-3", "5-6/1"])
DAYS = st.sampled_from(["*", "*/2", "1", "2,3", "1-5"])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)) | st.sampled_from(
    [
        datetime(2026, 3, 28, 22),
        datetime(2026, 10, 24, 22),
        datetime(2026, 4, 4, 13),
        datetime(2026, 11, 1, 4),
    ]
)


@given(
    text=st.tuples(FIELDS, FIELDS, DAYS, st.just("*"), DAYS).map(" ".join),
    start=MOMENTS,
    zone=st.sampled_from(
        ["UTC", "Europe/Lisbon", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
    ),
)
def test_the_runner_and_the_table_agree(text: str, start: datetime, zone: str) -> None:
    try:
        schedule, _ = schedules.parse(f"{text} x")
    except PikuError:
        return
    begin = start.replace(tzinfo=UTC)
    first = schedules.next_run(schedule, begin, schedules.zone({"TZ": zone}))
    with clock(zone):
        minutes = range(
            int(begin.timestamp()) // 60 * 60 + 60, int(begin.timestamp()) + 2 * 86400, 60
        )
        due = next(
            (minute for minute in minutes if cron_runner.is_due(vars(schedule), minute)), None
        )
    if due is not None:
        assert first is not None and first.timestamp() == due
    else:
        assert first is None or first.timestamp() > minutes[-1]


@given(moment=st.integers(1_700_000_000, 1_800_000_000), late=st.integers(0, 3599))
def test_the_minute_that_was_meant(moment: int, late: int) -> None:
    with clock("Asia/Kathmandu"):
        meant = moment // 60 * 60
        assert cron_runner.due_minute(meant + late, time.localtime(meant).tm_min) == meant
