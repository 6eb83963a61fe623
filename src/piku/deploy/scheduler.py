"""An app's scheduled jobs: the files from which one vassal per app runs them, and their runs.

A run is no part of the vassal that began it: it goes on over a deploy, a restart and the end of the
emperor. Until it ends, its release's files stay.

uWSGI compares whole numbers with the clock once a second. A line for any minute is called 60 s
after its last time, and so drifts until it misses a minute; a line for one minute is called in its
first second. So there is a line for each minute, and the script looks at hour and day.
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from piku import files, procfs, records, subprocesses
from piku.app import settings
from piku.app.procfile import Job
from piku.deploy.releases import Release
from piku.deploy.revision import Revision, confined
from piku.errors import PikuError
from piku.paths import TEMPLATES, AppPaths
from piku.uwsgi import ini

_VARIABLE = "PIKU_CRON"  # every process of a run has it; its value is the job's name


@dataclass(frozen=True, kw_only=True)
class Run:
    """The last run of a job, in seconds of the epoch; without an end it runs, or was killed."""

    release: int
    started: float
    ended: float | None = None
    code: int | None = None


def state_folder(app: AppPaths) -> Path:
    """Where the jobs keep their locks and the record of their last run."""
    return app.releases / "cron"


def write(app: AppPaths, release: Release, source: Revision, folder: Path) -> ini.Pairs:
    """Write the scripts of a release's jobs into this folder; returns the options of the vassal."""
    state_folder(app).mkdir(mode=0o700, parents=True, exist_ok=True)
    options: list[tuple[str, str | Path]] = []
    for job in source.procfile.jobs:
        place = folder / f"{job.kind}.sh"
        files.write(place, script(app, release, source, job))
        options += lines(job, str(place))
    return tuple(options)


def lines(job: Job, place: str) -> ini.Pairs:
    """uWSGI's options for a job."""
    command = (
        f"exec /usr/bin/env -u PIKU_PROCESS {_VARIABLE}={job.kind} /bin/sh {shlex.quote(place)}"
    )
    return tuple(
        ("cron2", f"minute={minute},hour=-1,day=-1,month=-1,week=-1 {command} uwsgi")
        for minute in job.schedule.minutes
    )


def script(app: AppPaths, release: Release, source: Revision, job: Job) -> str:
    """The text of the script that runs a job if it is due, once a minute and once at a time."""
    schedule, state = job.schedule, state_folder(app)
    argv = confined(app, release, source, subprocesses.shell(job.command), once=True)
    variables = {
        "job": job.kind,
        "release": release.number,
        "checkout": app.releases / release.checkout,
        "command": shlex.join(argv),
        "hours": _words(schedule.hours),
        "months": _words(schedule.months),
        "days": _words(schedule.days),
        "weekdays": _words(schedule.weekdays),
        "either": "yes" if schedule.either else "",
        "by_clock": "yes" if schedule.by_clock else "",
        "log": app.logs / f"{job.kind}.1.log",
        "log_maxsize": settings.LOG_MAXSIZE.read(source.values),
        "lock": state / f"{job.kind}.lock",
        "status": state / f"{job.kind}.json",
    }
    given = (f"_{name}={shlex.quote(str(value))}\n" for name, value in variables.items())
    return "".join(given) + (TEMPLATES / "cron.sh").read_text()


def _words(values: Iterable[int]) -> str:
    return " ".join(map(str, values))


def last_runs(app: AppPaths) -> dict[str, Run]:
    """The last run of each job, also of jobs that the app no longer has."""
    found: dict[str, Run] = {}
    for path in sorted(state_folder(app).glob("cron-*.json")):
        try:
            run = records.load(path, Run)
        except PikuError:  # a run begins now, or the disk is full
            continue
        if run is not None:
            found[path.stem] = run
    return found


def running(app: AppPaths) -> dict[str, Run]:
    """The runs that have not ended, by their job."""
    state, free = state_folder(app), ("flock", "--nonblock")
    return {
        name: run
        for name, run in last_runs(app).items()
        if run.ended is None
        and not subprocesses.succeeds([*free, str(state / f"{name}.lock"), "true"])
    }


def end(app: AppPaths, timeout: float) -> None:
    """End the runs of an app whose scheduler is gone, and all that they started.

    SIGTERM, then SIGKILL after `timeout` seconds; raises PikuError when something is left.
    """
    marked = procfs.marked(app.logs, _VARIABLE).keys()
    below = {child for pid in marked for child in procfs.descendants(pid)}
    if left := procfs.end(marked | below, timeout):
        names = ", ".join(f"process {pid} ({procfs.command(pid)[:60]})" for pid in left)
        raise PikuError(
            f"a scheduled job of {app.name} did not end: {names}",
            hint="once it has ended, run this again; only root can end a process of another user",
        )
