"""An app's scheduled jobs: when they are due, how the last run went, and a run by hand."""

import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo

from piku.app.procfile import Job
from piku.deploy import revision, scheduler
from piku.deploy.scheduler import Run
from piku.errors import PikuError
from piku.extras import shared
from piku.extras.cron.next_run import next_run, zone_of
from piku.operate import logs
from piku.operate.run import live_source
from piku.paths import AppPaths, Paths

_REMARK = re.compile(rb"[0-9-]{10} [0-9:]{8} \S{5} \[piku\] ")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One job; times are in the app's zone. `last` is when the last run started; `duration`
    (seconds) and `code` are None while it runs, and when it was killed with its script."""

    job: str
    schedule: str  # empty for a job that the app no longer has and that still runs
    command: str
    next: datetime | None
    last: datetime | None
    duration: float | None
    code: int | None
    running_since: datetime | None


def rows(paths: Paths, app: AppPaths) -> list[Row]:
    """The jobs of the live release in the Procfile's order, then those of others that still run."""
    live, _, source = live_source(paths, app)
    zone, now = zone_of(source.values), None if live.stopped else datetime.now(UTC)
    last, running = scheduler.last_runs(app), scheduler.running(app)
    present = {entry.kind: entry for entry in source.procfile.jobs}
    names = [*present, *(name for name in running if name not in present)]
    return [
        _row(name, present.get(name), last.get(name), now, zone, runs=name in running)
        for name in names
    ]


def _row(
    name: str,
    entry: Job | None,
    run: Run | None,
    now: datetime | None,
    zone: tzinfo,
    *,
    runs: bool,
) -> Row:
    schedule = entry.schedule if entry else None
    started = datetime.fromtimestamp(run.started, zone) if run else None
    return Row(
        job=name,
        schedule=schedule.text if schedule else "",
        command=entry.command if entry else "",
        next=next_run(schedule, now, zone) if schedule and now else None,
        last=None if runs else started,
        duration=run.ended - run.started if run and run.ended else None,
        code=run.code if run else None,
        running_since=started if runs else None,
    )


def run(paths: Paths, app: AppPaths, name: str) -> int:
    """Run a job now and print its output; returns its exit code.

    SIGINT and SIGTERM end the job. When our reader goes away, it goes on.
    """
    _, release, source = live_source(paths, app)
    job = _find(app, source.procfile.jobs, name)
    if job.kind in scheduler.running(app):
        raise PikuError(f"{job.kind} is still running", hint="a job never runs twice at once")
    known = logs.scan(app)
    script = scheduler.script(app, release, source, job)
    process = shared.spawn(
        ["/bin/sh", "-c", script, job.kind, "now"],
        cwd=app.releases / release.checkout,
        env=revision.process_variables(paths, app, release, source) | {"PIKU_CRON": job.kind},
        output=sys.stderr.fileno(),
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: os.killpg(process.pid, number))
    has_ended = False
    for batch in logs.follow(app, known, f"{job.kind}.1"):
        for line in batch:
            if not _REMARK.match(line.text):
                sys.stdout.buffer.write(line.text + b"\n")
        sys.stdout.buffer.flush()
        if has_ended:
            break
        has_ended = process.poll() is not None
    return process.poll() or 0


def _find(app: AppPaths, jobs: Sequence[Job], name: str) -> Job:
    present = {job.kind: job for job in jobs}
    found = present.get(name) or present.get(f"cron-{name}")
    if found is None:
        hint = (
            f"jobs: {', '.join(present)}"
            if present
            else "add a line 'cron-NAME: …' to the Procfile"
        )
        raise PikuError(f"{app.name} has no scheduled job {name[:60]!r}", hint=hint)
    return found
