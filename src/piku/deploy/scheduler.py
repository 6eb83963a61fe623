"""An app's scheduled jobs: what their runner reads and leaves behind, and what they still need.

One vassal per app calls the runner, and each run is a process of its own that no vassal's end touches:
it goes on over a deploy, a restart of the app and of the emperor. Until it ends its release's files stay.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from piku import files, procfs, subprocesses
from piku.app import schedule as schedule_module
from piku.app import settings
from piku.deploy import app_env, cron_runner
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Process, Release
from piku.deploy.revision import Revision
from piku.errors import PikuError
from piku.paths import AppPaths, Paths
from piku.uwsgi import cron as scheduling
from piku.uwsgi import ini

RUNNER = Path(cron_runner.__file__)
_LATE = 5  # seconds that a runner may take to say that its job has ended


def states_folder(app: AppPaths) -> Path:
    """Where the runner keeps what it knows of each job, and its lock."""
    return app.releases / "cron"


def specification(
    paths: Paths,
    app: AppPaths,
    release: Release,
    found: Revision,
    activation: int,
    enabled: str = "",
) -> dict[str, Any]:
    """What the runner is told: the app's jobs with what they run in.

    Once `enabled`, the vassal that calls it, is no longer there, no run begins.
    """
    return {
        "release": release.number,
        "activation": activation,
        "checkout": release.checkout,
        "environment": release.environment,
        "enabled": enabled,
        "state": str(states_folder(app)),
        "logs": str(app.logs),
        "log_maxsize": settings.LOG_MAXSIZE.read(found.values),
        "cwd": str(app.releases / release.checkout),
        "env": app_env.variables(paths, app, release, found),
        "jobs": {
            entry.kind: {"argv": subprocesses.shell(entry.command), **_fields(entry.schedule)}
            for entry in found.procfile.jobs
            if entry.schedule is not None
        },
    }


def _fields(schedule: schedule_module.Schedule) -> dict[str, object]:
    return {name: value for name, value in vars(schedule).items() if name != "text"}


def write(deployment: Deployment, process: Process, log: Path, options: ini.Pairs) -> str:
    """Write the runner and its specification for one start; returns the ini of the vassal that calls it."""
    app, folder = deployment.app, deployment.app.start(process.start)
    enabled = deployment.paths.enabled / f"{process.vassal(app.name)}.ini"
    told = specification(
        deployment.paths, app, deployment.release, deployment.revision, process.start, str(enabled)
    )
    files.write_json(folder / "cron.json", told)
    files.write(folder / "cron.py", files.read(RUNNER))
    app_env.make_folders(app)
    states_folder(app).mkdir(mode=0o700, exist_ok=True)
    (states_folder(app) / "lock").touch(mode=0o600)  # on a full disk the runner could not make it
    scheduler = scheduling.Scheduler(
        folder=str(folder),
        python=subprocesses.system_python(),
        log=str(log),
        zone=deployment.values["TZ"].strip() if "TZ" in deployment.values else None,
        options=options,
    )
    schedules = {
        entry.kind: entry.schedule
        for entry in deployment.revision.procfile.jobs
        if entry.schedule is not None
    }
    return scheduling.config(scheduler, schedules)


# --- runs ----------------------------------------------------------------------------------------


def states(app: AppPaths) -> dict[str, dict[str, Any]]:
    """What is known of the runs of each job, also of jobs that the app no longer has."""
    folder = states_folder(app)
    names = sorted(path.stem for path in folder.glob("cron-*.json"))
    return {name: cron_runner.load(str(folder), name) for name in names}


def running(app: AppPaths) -> dict[str, Mapping[str, Any]]:
    """The runs that are at work, by their deployment."""
    runs = {name: state.get("running") for name, state in states(app).items()}
    return {
        name: run for name, run in runs.items() if run is not None and cron_runner.is_alive(run)
    }


def end(app: AppPaths, timeout: float) -> None:
    """End the jobs of an app whose vassals are gone, and all that they started: SIGTERM, then SIGKILL.

    Raises PikuError when something of them is left.
    """
    if not (names := list(states(app))):
        return
    with cron_runner.locked(str(states_folder(app))):
        pass  # a runner that was called before is on record now, one that comes later starts nothing
    left: list[int] = []
    for _ in files.poll(time.monotonic() + timeout + _LATE):
        left = procfs.end(_processes(app, names), timeout)
        if not left and not running(app):  # who looked after it has said so
            return
    raise _remains(app, left)


def _remains(app: AppPaths, left: Sequence[int]) -> PikuError:
    at_work = running(app)
    pids = left or [run["runner"][0] for run in at_work.values()]
    named = ", ".join(f"process {pid} ({procfs.command(pid)[:60]})" for pid in pids)
    return PikuError(
        f"{', '.join(at_work) or 'a scheduled job'} of {app.name} did not end: {named}",
        hint="once it has ended, do this again; that of another user only root can end",
    )


def _processes(app: AppPaths, names: Sequence[str]) -> set[int]:
    """What runs of these jobs, known by its variables, or by who started it: a program may leave its
    session, and may drop its variables."""
    own = {"APP": str(app.name), "LOG_ROOT": str(app.logs)}
    found = {pid for name in names for pid in procfs.with_variables({**own, "PIKU_CRON": name})}
    for run in running(app).values():
        found |= _started_by(run)
    return found


def _started_by(run: Mapping[str, Any]) -> set[int]:
    """The process of a run, those below it, and those of its session, which may have lost their parent."""
    job = run["job"]
    if job is None or cron_runner.identity(job[0])[1] not in ("", job[1]):
        return set()  # it has not begun; or its number is another one's by now
    return {*procfs.descendants(job[0]), *procfs.session(job[0])}
