"""An app's scheduled jobs: uWSGI's cron lines, and the script that they call.

uWSGI compares whole numbers with the clock once a second. A line for any minute is called 60 s
after its last time, and so drifts until it misses a minute; a line for one minute is called in its
first second. So there is a line for each minute, and the script looks at hour and day.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from piku import subprocesses
from piku.app.procfile import Job
from piku.paths import AppPaths
from piku.uwsgi import ini


def state_folder(app: AppPaths) -> Path:
    """Where the jobs keep their locks and the record of their last run."""
    return app.releases / "cron"


def lines(job: Job, script: str) -> ini.Pairs:
    """uWSGI's options for a job."""
    command = f"exec env -u PIKU_PROCESS PIKU_CRON={job.kind} sh {shlex.quote(script)}"
    return tuple(
        ("cron2", f"minute={minute},hour=-1,day=-1,month=-1,week=-1 {command} uwsgi")
        for minute in job.schedule.minutes
    )


def script(app: AppPaths, job: Job, *, release: int, checkout: Path, log_maxsize: int) -> str:
    """The text of the script that runs a job if it is due, once a minute and once at a time."""
    schedule, state = job.schedule, state_folder(app)
    variables = {
        "job": job.kind,
        "release": release,
        "checkout": checkout,
        "command": shlex.join(subprocesses.shell(job.command)),
        "hours": _words(schedule.hours),
        "months": _words(schedule.months),
        "days": _words(schedule.days),
        "weekdays": _words(schedule.weekdays),
        "either": "yes" if schedule.either else "",
        "by_clock": "yes" if schedule.by_clock else "",
        "log": app.logs / f"{job.kind}.1.log",
        "log_maxsize": log_maxsize,
        "lock": state / f"{job.kind}.lock",
        "status": state / f"{job.kind}.json",
    }
    given = (f"_{name}={shlex.quote(str(value))}\n" for name, value in variables.items())
    return "".join(given) + (resources.files("piku") / "templates" / "cron.sh").read_text()


def _words(values: Iterable[int]) -> str:
    return " ".join(map(str, values))
