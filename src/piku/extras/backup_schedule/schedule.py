"""Backups that are made regularly, and whether they still are."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from piku import locks, records, subprocesses
from piku.app import schedule
from piku.app.schedule import Schedule
from piku.cli.common import self_argv
from piku.errors import PikuError
from piku.extras import shared
from piku.extras.backup_schedule import targets
from piku.output import duration
from piku.paths import AppPaths, Paths

_DAYS = 366 * 9  # in which a date of any schedule comes


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is backed up when, `since` then (seconds of the epoch), and to where: "" is here."""

    when: str
    since: float
    keep: int = 7
    to: str = ""
    encrypt: str = ""


@dataclass(frozen=True, kw_only=True)
class State:
    """The last attempt, the last one that went well (0: none did), and why the last one failed."""

    attempted: float = 0
    succeeded: float = 0
    place: str = ""
    error: str = ""


def plan_file(app: AppPaths) -> Path:
    return app.envs / "backup.json"


def plan(app: AppPaths) -> Plan | None:
    return records.load(plan_file(app), Plan)


def state_file(app: AppPaths) -> Path:
    return app.envs / "backup-state.json"


def state(app: AppPaths) -> State:
    return records.load(state_file(app), State) or State()


def parse(text: str) -> Schedule:
    """A schedule as cron has it, without a command; raises PikuError."""
    return schedule.parse(f"{text} backup")[0]


def times(wanted: Schedule, after: float) -> Iterator[float]:
    """When it comes after that time, in the server's time zone."""
    start = datetime.fromtimestamp(after)
    for number in range(_DAYS):
        day = (start + timedelta(days=number)).replace(hour=0, minute=0, second=0, microsecond=0)
        by_date, by_week = day.day in wanted.days, (day.weekday() + 1) % 7 in wanted.weekdays
        fits = by_date or by_week if wanted.either else by_date and by_week
        for hour in wanted.hours if fits and day.month in wanted.months else ():
            for minute in wanted.minutes:
                if (moment := day.replace(hour=hour, minute=minute).timestamp()) > after:
                    yield moment


def is_due(found: Plan, last: State, now: float) -> bool:
    """Whether a time of the schedule has come since the last attempt."""
    after = max(found.since, last.attempted)
    return next(times(parse(found.when), after), now + 1) <= now


def is_stale(found: Plan, last: State, now: float) -> bool:
    """Whether two periods have gone by since the last good backup, or since there should be one."""
    coming = times(parse(found.when), max(found.since, last.succeeded))
    next(coming, None)
    return next(coming, now + 1) <= now


def start_due(paths: Paths) -> None:
    """Start the backups that are due: they take their time, and housekeeping goes on."""
    for name in paths.app_names():
        app = paths.app(name)
        with contextlib.suppress(PikuError, OSError):  # a damaged plan is a finding
            if (found := plan(app)) is None or not is_due(found, state(app), time.time()):
                continue
            app.logs.mkdir(parents=True, exist_ok=True)  # it may have been made without a push
            with (app.logs / "backup.log").open("wb") as output:
                shared.spawn(
                    [*self_argv(), "backup:run", name], cwd=paths.root,
                    env=subprocesses.environment(), output=output.fileno(),
                )  # fmt: skip


def run(app: AppPaths) -> str:
    """Make the backup that is planned, or one that is kept here; returns where it is, and notes how
    it went."""
    found = plan(app) or Plan(when="", since=0, keep=0)
    with locks.lock(app.envs / "backup.lock", "a backup", patient=False):
        last = state(app)
        why = last.error or "it was cut off, or still runs"
        begun = replace(last, attempted=time.time(), error=why)
        records.save(state_file(app), begun)
        try:
            target = targets.parse(found.to) if found.to else targets.own(app)
            backup = [*self_argv(), "backup", app.name]
            place = targets.store(app, target, found.encrypt, backup)
        except (PikuError, OSError) as error:
            records.save(state_file(app), replace(begun, error=str(error)[:300]))
            raise
        place = f"{target.host}:{place}" if target.host else place
        done = State(attempted=begun.attempted, succeeded=begun.attempted, place=place)
        records.save(state_file(app), done)
        try:
            targets.prune(app, target, found.keep)
        except PikuError as error:
            what = f"old backups were not removed: {error}"
            records.save(state_file(app), replace(done, error=what[:300]))
            raise PikuError(f"the backup is in {place}, but {what}", detail=error.detail) from None
    return place


def findings(_paths: Paths, app: AppPaths) -> Iterator[tuple[str, str]]:
    """For status and doctor: backups that are no longer made."""
    found, now = plan(app), time.time()
    if found is None or not is_stale(found, last := state(app), now):
        return
    old = f"is {duration(now - last.succeeded)} old" if last.succeeded else "was never made"
    why = f": {last.error}" if last.error else ""
    fix = f"see {app.logs / 'backup.log'}, then try it: piku backup:run {app.name}"
    yield f"the last good backup ({found.when}) {old}{why}", fix
