"""An app's scheduled jobs: when they are due, what became of the last run, and a run by hand."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, NoReturn

from piku import subprocesses
from piku.app import schedule as schedule_module
from piku.app.procfile import Entry
from piku.deploy import app_env, cron_runner, releases, revision
from piku.deploy import scheduler as jobs
from piku.deploy.releases import Live, Release
from piku.deploy.revision import Revision
from piku.errors import PikuError
from piku.paths import AppPaths, Paths


@dataclass(frozen=True, kw_only=True)
class Row:
    """One job. `last`, `duration` (seconds) and `code` are of the last run that ended; the latter two
    are None when it was killed together with its runner. Times are in the app's zone."""

    job: str
    schedule: str  # empty for a job that the app no longer has, and that still runs
    command: str
    next: datetime | None
    last: datetime | None
    duration: float | None
    code: int | None
    running_since: datetime | None


def rows(paths: Paths, app: AppPaths) -> list[Row]:
    """The jobs of the live release, in the Procfile's order, then those that still run of others."""
    live, _, found = _live(paths, app)
    zone, now = schedule_module.zone(found.values), datetime.now(UTC)
    states, running = jobs.states(app), jobs.running(app)
    present = {entry.kind: entry for entry in found.procfile.jobs}
    names = [*present, *(name for name in running if name not in present)]
    after = None if live.stopped else now
    return [
        _row(name, present.get(name), states.get(name, {}), running.get(name), after, zone)
        for name in names
    ]


def _row(
    name: str,
    entry: Entry | None,
    state: Mapping[str, Any],
    running: Mapping[str, Any] | None,
    after: datetime | None,
    zone: tzinfo,
) -> Row:
    schedule = entry.schedule if entry else None
    run = state.get("running")
    last = state.get("last") if run is None or running is not None else cron_runner.lost(run)
    ended = last["ended"] if last else None
    return Row(
        job=name,
        schedule=schedule.text if schedule else "",
        command=entry.command if entry else "",
        next=schedule_module.next_run(schedule, after, zone) if schedule and after else None,
        last=_moment(last["started"], zone) if last else None,
        duration=round(ended - last["started"], 3) if last and ended else None,
        code=last["code"] if last else None,
        running_since=_moment(running["started"], zone) if running else None,
    )


def _moment(seconds: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(seconds, zone)


def run(paths: Paths, app: AppPaths, name: str) -> NoReturn:
    """Become the runner of a job: what it prints is shown and logged, and its exit code is ours."""
    live, release, found = _live(paths, app)
    present = [entry.kind for entry in found.procfile.jobs]
    job = name if name in present else f"cron-{name}"
    if job not in present:
        hint = (
            f"there are: {', '.join(present)}"
            if present
            else "a line 'cron-NAME: ...' in the Procfile is one"
        )
        raise PikuError(f"{app.name} has no scheduled job {name[:60]!r}", hint=hint)
    app_env.make_folders(app)
    # A file without a name: it holds secrets, and is gone whatever happens.
    handle = os.memfd_create("cron")
    os.write(
        handle, json.dumps(jobs.specification(paths, app, release, found, live.start)).encode()
    )
    os.lseek(handle, 0, os.SEEK_SET)
    os.dup2(handle, 0)
    subprocesses.exec_program(
        [subprocesses.system_python(), "-IS", str(jobs.RUNNER), job, cron_runner.BY_HAND],
        env=app_env.variables(paths, app, release, found),
    )


def _live(paths: Paths, app: AppPaths) -> tuple[Live, Release, Revision]:
    live = releases.live(app)
    if live is None:
        raise PikuError(f"{app.name} has no live release", hint="push a working commit first")
    release = releases.load_release(app, live.release)
    return live, release, revision.of_release(paths, app, release)
