"""Schedules of jobs, the five fields of crontab(5), and names of time zones.

As in Debian's cron, a job whose day of the month and day of the week are both restricted runs on
either; a field that begins with `*` does not restrict.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from piku.errors import PikuError

_SHORTCUTS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_HINT = (
    "a schedule is five fields (minute, hour, day of the month, month, day of the week)"
    f" or one of {', '.join(_SHORTCUTS)}; use a worker for what must run at each start"
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ZONES = Path("/usr/share/zoneinfo")


@dataclass(frozen=True, kw_only=True)
class _Field:
    """A field's name, its bounds, and names for the numbers from the lower bound on."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_MINUTE = _Field(name="minute", low=0, high=59)
_HOUR = _Field(name="hour", low=0, high=23)
_DAY = _Field(name="day of the month", low=1, high=31)
_MONTH = _Field(name="month", low=1, high=12, names=_MONTHS)
_WEEKDAY = _Field(
    name="day of the week", low=0, high=7, names=("sun", "mon", "tue", "wed", "thu", "fri", "sat")
)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The values of each field, rising; `weekdays` count from Sunday, 0 to 6.

    `either`: a day that `days` or `weekdays` allows will do. `by_clock`: hour and minute are both
    given, so when the clock is set back, the hour that comes twice counts once.
    """

    text: str = field(compare=False)
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    either: bool
    by_clock: bool


def parse(line: str) -> tuple[Schedule, str]:
    """A schedule and the command after it; raises PikuError that says what is wrong."""
    count = 1 if line.startswith("@") else 5
    words = line.split(None, count)
    text, command = " ".join(words[:count]), "".join(words[count:])
    fields = _SHORTCUTS.get(text, text).split()
    if len(fields) != 5:
        raise PikuError(f"{line[:60]!r} is not a schedule and a command", hint=_HINT)
    schedule = _schedule(text, *fields)
    if not command:
        raise PikuError(f"there is no command after the schedule {text!r}")
    if re.match(r"\*(/\d+)?(\s|$)", command):
        sixth = command.split()[0]
        raise PikuError(f"there is a sixth field, {sixth!r}", hint="cron has no field for seconds")
    return schedule, command


def _schedule(text: str, minute: str, hour: str, day: str, month: str, weekday: str) -> Schedule:
    schedule = Schedule(
        text=text,
        minutes=_values(_MINUTE, minute),
        hours=_values(_HOUR, hour),
        days=_values(_DAY, day),
        months=_values(_MONTH, month),
        weekdays=tuple(sorted({value % 7 for value in _values(_WEEKDAY, weekday)})),
        either=not (day.startswith("*") or weekday.startswith("*")),
        by_clock=not (minute.startswith("*") or hour.startswith("*")),
    )
    first = schedule.days[0]
    if not schedule.either and first > max(_LONGEST[month - 1] for month in schedule.months):
        raise PikuError(f"the schedule {text!r} never comes: no such month has {first} days")
    return schedule


def _values(part: _Field, text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({value for word in text.split(",") for value in _range(part, word)}))
    except ValueError as error:
        raise PikuError(f"in the {part.name} {text[:60]!r}, {error}", hint=_HINT) from None


def _range(part: _Field, element: str) -> range:
    """The values of a number, a range or `*`, the latter two with or without a step."""
    span, slash, step = element.partition("/")
    if slash and not (re.fullmatch("[0-9]{1,4}", step) and int(step)):
        raise ValueError(f"the step {step!r} is not a whole number above 0")
    if span == "*":
        return range(part.low, part.high + 1, int(step or 1))
    first, dash, last = span.partition("-")
    if slash and not dash:
        raise ValueError(f"the step needs a range: write {span}-{part.high}/{step}")
    low = high = _number(part, first or span)
    if dash:
        high = 7 if part is _WEEKDAY and last.lower() == "sun" else _number(part, last)
    if high < low:
        better = f"{first}-{part.high},{part.low}-{last}"
        raise ValueError(f"{span!r} goes backwards: write {better}")
    return range(low, high + 1, int(step or 1))


def _number(part: _Field, word: str) -> int:
    if word.lower() in part.names:
        return part.low + part.names.index(word.lower())
    if not re.fullmatch("[0-9]{1,4}", word):
        names = f" nor one of {' '.join(part.names)}" if part.names else ""
        raise ValueError(f"{word[:60]!r} is not a number{names}")
    if not part.low <= int(word) <= part.high:
        raise ValueError(f"{word} is not within {part.low} to {part.high}")
    return int(word)


def check_zone(name: str) -> str:
    """A time zone: its name as it is. Raises ValueError when this server does not know it."""
    from zoneinfo import ZoneInfo  # slow to import

    try:
        # uWSGI, date(1) and the app read the system's own files, so those count.
        if name in ("", "UTC") or ((_ZONES / name).is_file() and ZoneInfo(name)):
            return name
    except (OSError, ValueError, KeyError):
        pass
    raise ValueError("this server has no such time zone; write one such as Europe/Lisbon")
