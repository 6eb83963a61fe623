"""Schedules of jobs, the five fields of crontab(5).

As in Debian's cron, a job whose day of the month and day of the week are both restricted runs on
either; a field that begins with `*` does not restrict.
"""

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from piku.errors import PikuError

_SHORTCUTS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_HINT = (
    "a schedule is five fields (minute, hour, day of the month, month, day of the week)"
    f" or one of {', '.join(_SHORTCUTS)}; use a worker for what must run at each start"
)
# A number or name, a range or `*`; the latter two with or without a step.
_ELEMENT = re.compile(r"(?:\*|(\w{1,4})(?:-(\w{1,4}))?)(?:/([1-9][0-9]{0,3}))?", re.ASCII)


class _Field(NamedTuple):
    """A field's name, its bounds, and names for the numbers from the lower bound on."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of the month", 1, 31)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_WEEKDAY = _Field("day of the week", 0, 7, _WEEKDAYS)


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
    minute, hour, day, month, weekday = fields
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
    if not command:
        raise PikuError(f"there is no command after the schedule {text!r}")
    if sixth := re.match(r"\*(/\d+)?(?=\s|$)", command):
        raise PikuError(f"there is a sixth field, {sixth[0]!r}", hint="a schedule has no seconds")
    return schedule, command


def _values(part: _Field, text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for element in text.lower().split(","):
        try:
            found.update(_range(part, element))
        except ValueError:
            what = f"a number from {part.low} to {part.high}"
            names = f", a name such as {part.names[1]}" if part.names else ""
            raise PikuError(
                f"in the {part.name} {text[:60]!r}, {element[:60]!r} is not {what}{names},"
                f" a range such as {part.low}-{part.high} or {part.low}-{part.high}/2, or */2",
                hint=_HINT,
            ) from None
    return tuple(sorted(found))


def _range(part: _Field, element: str) -> range:
    found = _ELEMENT.fullmatch(element)
    if not found:
        raise ValueError
    first, last, step = found.groups()
    low = _number(part, first) if first else part.low
    high = _number(part, last) if last else low if first else part.high
    if last == "sun":
        high = 7
    # "5/15" is a start to some crons and one minute to others.
    if not part.low <= low <= high <= part.high or (step and first and not last):
        raise ValueError
    return range(low, high + 1, int(step or 1))


def _number(part: _Field, word: str) -> int:
    return part.low + part.names.index(word) if word in part.names else int(word)
