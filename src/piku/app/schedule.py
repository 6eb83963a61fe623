"""Schedules of jobs: the five fields of crontab(5), and the names of time zones. Pure.

As in Debian's cron, a job whose day of the month and day of the week are both restricted runs on
either; a field that begins with `*` does not restrict.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from piku.app.checks import quoted
from piku.errors import PikuError

_SHORTCUTS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_HINT = "a schedule has five fields: minute, hour, day of the month, month, day of the week"
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_ZONES = Path("/usr/share/zoneinfo")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One of the five: its name, its bounds, and names for the numbers from the lower bound on."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MINUTE = Field(name="minute", low=0, high=59)
HOUR = Field(name="hour", low=0, high=23)
DAY = Field(name="day of the month", low=1, high=31)
MONTH = Field(name="month", low=1, high=12, names=_MONTHS)
WEEKDAY = Field(
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
    if len(words) < count:
        raise PikuError(f"{quoted(line)} is not a schedule and a command", hint=_HINT)
    schedule = _parse_fields(_expand(text) if count == 1 else text, text)
    if not command:
        raise PikuError(f"there is no command after the schedule {text!r}")
    if re.match(r"\*(/\d+)?(\s|$)", command):
        raise PikuError(
            f"there is a sixth field, {command.split()[0]!r}", hint="cron has no field for seconds"
        )
    return schedule, command


def _expand(shortcut: str) -> str:
    if shortcut == "@reboot":
        hint = "use a worker, or 'release', for what must run at each start"
        raise PikuError("@reboot is not a time", hint=hint)
    if shortcut not in _SHORTCUTS:
        hint = f"shortcuts: {', '.join(_SHORTCUTS)}"
        raise PikuError(f"{quoted(shortcut)} is not a schedule", hint=hint)
    return _SHORTCUTS[shortcut]


def _parse_fields(fields: str, text: str) -> Schedule:
    minute, hour, day, month, weekday = fields.split()
    schedule = Schedule(
        text=text,
        minutes=_values(MINUTE, minute),
        hours=_values(HOUR, hour),
        days=_values(DAY, day),
        months=_values(MONTH, month),
        weekdays=tuple(sorted({value % 7 for value in _values(WEEKDAY, weekday)})),
        either=not (day.startswith("*") or weekday.startswith("*")),
        by_clock=not (minute.startswith("*") or hour.startswith("*")),
    )
    first = schedule.days[0]
    if not schedule.either and first > max(_LONGEST[month - 1] for month in schedule.months):
        raise PikuError(f"the schedule {text!r} never comes: no such month has {first} days")
    return schedule


def _values(part: Field, text: str) -> tuple[int, ...]:
    elements = (_element(part, text, element) for element in text.split(","))
    return tuple(sorted({value for element in elements for value in element}))


def _element(part: Field, text: str, element: str) -> range:
    """The values of a number, a range or `*`, each of the latter two with or without a step."""
    span, slash, step = element.partition("/")
    if slash and not (re.fullmatch("[0-9]{1,4}", step) and int(step)):
        raise _problem(part, text, f"the step {step!r} is not a whole number above 0")
    if span == "*":
        return range(part.low, part.high + 1, int(step or 1))
    first, dash, last = span.partition("-")
    low = high = _number(part, text, first or span)
    if dash:
        high = _number(part, text, last)
        if part is WEEKDAY and last.lower() == "sun":
            high = 7
    elif slash:
        raise _problem(part, text, f"the step needs a range: write {span}-{part.high}/{step}")
    if high < low:
        better = f"{first}-{part.high},{part.low}-{last}"
        raise _problem(part, text, f"{span!r} goes backwards: write {better}")
    return range(low, high + 1, int(step or 1))


def _number(part: Field, text: str, word: str) -> int:
    if word.lower() in part.names:
        return part.low + part.names.index(word.lower())
    if not re.fullmatch("[0-9]{1,4}", word):
        names = f" nor one of {' '.join(part.names)}" if part.names else ""
        raise _problem(part, text, f"{quoted(word)} is not a number{names}")
    if not part.low <= int(word) <= part.high:
        raise _problem(part, text, f"{word} is not within {part.low} to {part.high}")
    return int(word)


def _problem(part: Field, text: str, what: str) -> PikuError:
    return PikuError(f"in the {part.name} {quoted(text)}, {what}", hint=_HINT)


def check_zone(name: str) -> str:
    """A time zone: one that this server knows."""
    from zoneinfo import ZoneInfo, available_timezones

    try:
        # uWSGI, date(1) and the app read the system's own files, so those count.
        if name in ("", "UTC") or ((_ZONES / name).is_file() and ZoneInfo(name)):
            return name
    except (OSError, ValueError, KeyError):
        pass
    zones = available_timezones()
    if not zones:
        raise ValueError("this server has no time zones: apt-get install tzdata")
    close = get_close_matches(name, zones, n=1, cutoff=0.5)
    meant = f": did you mean {close[0]}?" if close else ", such as Europe/Lisbon"
    raise ValueError(f"this is not a time zone{meant}")
