"""An app's jobs as uWSGI's own cron knows them: when it is to call the runner.

Pure. uWSGI matches whole numbers, once a second. A line for any minute is called 60 s after its last
time, and so drifts until it misses a minute; a line for one minute is called in its first second.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from piku.app.schedule import Schedule
from piku.uwsgi import ini

# A job has at most that many lines: what they then match too much, the runner leaves out.
_MOST = 120
_ANY = (-1,)


@dataclass(frozen=True, kw_only=True)
class Scheduler:
    """The one vassal that calls an app's jobs; `folder` has the runner's files."""

    folder: str
    python: str
    log: str
    zone: str | None  # a time zone's name, or the server's
    options: ini.Pairs = ()  # of extras


def config(scheduler: Scheduler, jobs: Mapping[str, Schedule]) -> str:
    """The ini of that vassal."""
    return ini.render(
        [
            ("strict", "true"),
            ("master", "true"),
            ("die-on-term", "true"),
            ("processes", "0"),
            ("chdir", scheduler.folder),
            # The clock that uWSGI's cron goes by, and the runner's.
            ("unenv", "TZ") if scheduler.zone is None else ("env", f"TZ={scheduler.zone}"),
            ("logto", scheduler.log),
            ("log-maxsize", "262144"),
            ("log-backupname", f"{scheduler.log}.old"),
            ("logfile-chmod", "640"),
            *scheduler.options,
            *(
                ("cron2", line)
                for job, schedule in jobs.items()
                for line in _lines(scheduler, job, schedule)
            ),
        ]
    )


def _lines(scheduler: Scheduler, job: str, schedule: Schedule) -> Iterable[str]:
    command = f"exec {shlex.quote(scheduler.python)} -IS cron.py {job}"
    for minute, hour, day, month, week in _times(schedule):
        when = f"minute={minute},hour={hour},day={day},month={month},week={week}"
        yield f"{when} {command} {minute}"


def _times(schedule: Schedule) -> list[tuple[int, ...]]:
    """Minute, hour, day, month and weekday of each line, -1 for any; every moment of the schedule is
    among theirs."""
    hours = _restricted(schedule.hours, 24)
    months = _restricted(schedule.months, 12)
    dates = _dates(schedule)
    every = [(-1, -1)]
    choices = [
        (hours, months, dates),
        (hours, months, every),
        (hours, _ANY, every),
        (_ANY, _ANY, every),
    ]
    for some_hours, some_months, some_dates in choices:
        if len(schedule.minutes) * len(some_hours) * len(some_months) * len(some_dates) <= _MOST:
            break
    product = itertools.product(schedule.minutes, some_hours, some_months, some_dates)
    return [(minute, hour, day, month, week) for minute, hour, month, (day, week) in product]


def _restricted(values: tuple[int, ...], full: int) -> tuple[int, ...]:
    return values if len(values) < full else _ANY


def _dates(schedule: Schedule) -> list[tuple[int, int]]:
    """Day of the month and of the week. A line with both would be called on either: the runner looks."""
    days, weekdays = _restricted(schedule.days, 31), _restricted(schedule.weekdays, 7)
    if schedule.either:
        return [*((day, -1) for day in days), *((-1, weekday) for weekday in weekdays)]
    if days == _ANY:
        return [(-1, weekday) for weekday in weekdays]
    return [(day, -1) for day in days]
