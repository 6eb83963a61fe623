"""When a scheduled job is due: crontab(5)'s five fields, and the moments that they mean. Pure.

As cron has it: when day of the month and day of the week are both restricted, either will do; a field
that begins with `*` is not restricted. A time that the clock jumps over in spring does not come that
day. In the hour that comes twice in autumn a job whose hour and minute are given runs once, the first
time; one with `*` in either goes on by the minutes that pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path

from piku.errors import PikuError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_SHORTCUTS = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_FORM = (
    "five fields stand before the command: minute, hour, day of the month, month, day of the week"
)
# 29 February on one day of the week comes every 28 years, and every 40 around a year such as 2100.
_HORIZON = 366 * 41
_ZONES = Path("/usr/share/zoneinfo")


@dataclass(frozen=True, kw_only=True)
class Field:
    """One of the five: its name, its bounds, and the names that numbers from the lower bound on have."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


MINUTE = Field(name="minute", low=0, high=59)
HOUR = Field(name="hour", low=0, high=23)
DAY = Field(name="day of the month", low=1, high=31)
MONTH = Field(name="month", low=1, high=12, names=_MONTHS)
WEEKDAY = Field(name="day of the week", low=0, high=7, names=_WEEKDAYS)
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The values of each field, rising; `weekdays` count from Sunday, 0 to 6.

    `either`: a day that one of `days` and `weekdays` allows will do. `by_clock`: hour and minute are
    both given, so that the hour that comes twice counts once.
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
    """A schedule and the command behind it; raises PikuError with what is wrong."""
    if line.startswith("@"):
        word, _, command = _first(line)
        schedule, text = _shortcut(word), word
    else:
        words = line.split(None, 5)
        text, command = " ".join(words[:5]), (words[5:] or [""])[0]
        if len(words) < 5:
            raise PikuError(
                f"{_short(line)!r} is not a schedule and a command",
                hint=_FORM,
            )
        schedule = text
    made = _schedule(schedule, text)
    if not command:
        raise PikuError(f"there is no command behind the schedule {text!r}")
    if re.match(r"\*(/\d+)?(\s|$)", command):
        raise PikuError(
            f"there is a sixth field, {_first(command)[0]!r}", hint="cron knows no seconds"
        )
    return made, command


def _first(text: str) -> tuple[str, str, str]:
    word, *rest = text.split(None, 1)
    return word, " " if rest else "", rest[0] if rest else ""


def _shortcut(word: str) -> str:
    if word in _SHORTCUTS:
        return _SHORTCUTS[word]
    if word == "@reboot":
        raise PikuError(
            "@reboot is not a time", hint="what runs at each start is a worker or 'release'"
        )
    raise PikuError(
        f"{_short(word)!r} is not a schedule", hint=f"there are: {', '.join(_SHORTCUTS)}"
    )


def _schedule(fields: str, text: str) -> Schedule:
    minute, hour, day, month, weekday = fields.split()
    made = Schedule(
        text=text,
        minutes=_values(MINUTE, minute),
        hours=_values(HOUR, hour),
        days=_values(DAY, day),
        months=_values(MONTH, month),
        weekdays=tuple(sorted({value % 7 for value in _values(WEEKDAY, weekday)})),
        either=not (day.startswith("*") or weekday.startswith("*")),
        by_clock=not (minute.startswith("*") or hour.startswith("*")),
    )
    if not made.either and made.days[0] > max(_LONGEST[month - 1] for month in made.months):
        raise PikuError(f"the schedule {text!r} never comes: no such month has {made.days[0]} days")
    return made


def _values(part: Field, text: str) -> tuple[int, ...]:
    return tuple(
        sorted({value for element in text.split(",") for value in _element(part, text, element)})
    )


def _element(part: Field, text: str, element: str) -> range:
    span, slash, step = element.partition("/")
    if slash and not (re.fullmatch("[0-9]{1,4}", step) and int(step)):
        raise _problem(part, text, f"the step {step!r} is not a whole number above 0")
    first, dash, last = span.partition("-")
    if span == "*":
        low, high = part.low, part.high
    else:
        low = _value(part, text, first or span)
        high = _value(part, text, last, ends=True) if dash else low
    if slash and not dash and span != "*":
        raise _problem(part, text, f"the step needs a range: write {span}-{part.high}/{step}")
    if high < low:
        raise _problem(
            part, text, f"{span!r} goes backwards: write {first}-{part.high},{part.low}-{last}"
        )
    return range(low, high + 1, int(step or 1))


def _value(part: Field, text: str, word: str, *, ends: bool = False) -> int:
    if word.lower() in part.names:
        number = part.low + part.names.index(word.lower())
        return 7 if ends and part is WEEKDAY and number == 0 else number  # fri-sun
    if not re.fullmatch("[0-9]{1,4}", word):
        names = f" nor one of {' '.join(part.names)}" if part.names else ""
        raise _problem(part, text, f"{_short(word)!r} is not a number{names}")
    if not part.low <= int(word) <= part.high:
        raise _problem(part, text, f"{word} is not within {part.low} to {part.high}")
    return int(word)


def _problem(part: Field, text: str, what: str) -> PikuError:
    return PikuError(f"in the {part.name} {_short(text)!r}, {what}", hint=_FORM)


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"


# --- moments -------------------------------------------------------------------------------------


def is_on(schedule: Schedule, day: date) -> bool:
    """Whether the schedule has this day."""
    by_day, by_weekday = day.day in schedule.days, day.isoweekday() % 7 in schedule.weekdays
    fits = by_day or by_weekday if schedule.either else by_day and by_weekday
    return fits and day.month in schedule.months


def next_run(schedule: Schedule, after: datetime, zone: tzinfo) -> datetime | None:
    """The first moment later than `after` (aware) at which the job is due, in `zone`; None for never."""
    found: datetime | None = None
    after = after.astimezone(UTC)  # two times of one zone would be compared by what the clock shows
    # A clock that is set back at midnight shows the day before once more.
    day = after.astimezone(zone).date() - timedelta(days=1)
    for _ in range(_HORIZON):
        if found is not None and day > found.date() + timedelta(days=1):
            break
        if is_on(schedule, day):
            moments = (*_moments(schedule, day, zone), *((found,) if found else ()))
            found = min((m for m in moments if m > after), default=None, key=datetime.timestamp)
        day += timedelta(days=1)
    return found


def _moments(schedule: Schedule, day: date, zone: tzinfo) -> Iterator[datetime]:
    for hour in schedule.hours:
        for minute in schedule.minutes:
            first = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
            second = first.replace(fold=1)
            if first.utcoffset() == second.utcoffset():
                yield first
            elif _exists(first):  # what the clock jumps over does not
                yield first
                if not schedule.by_clock:
                    yield second


def _exists(moment: datetime) -> bool:
    back = moment.astimezone(UTC).astimezone(moment.tzinfo)
    return back.replace(tzinfo=None) == moment.replace(tzinfo=None)


# --- time zones ----------------------------------------------------------------------------------


def check_zone(name: str) -> str:
    """A time zone's name as it is; raises ValueError when this server does not know it."""
    from zoneinfo import ZoneInfo, available_timezones

    try:
        # The system's own files count: uWSGI and the app read those.
        if name in ("", "UTC") or ((_ZONES / name).is_file() and ZoneInfo(name)):
            return name
    except (OSError, ValueError, KeyError):
        pass
    from difflib import get_close_matches

    known = available_timezones()
    if not known:
        raise ValueError("this server has no time zones: apt-get install tzdata")
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f": did you mean {close[0]}?" if close else ", such as Europe/Lisbon"
    raise ValueError(f"this is not a time zone{meant}")


def zone(values: Mapping[str, str]) -> tzinfo:
    """The time zone that an app's settings name, else the server's, as uWSGI understands both."""
    from zoneinfo import ZoneInfo

    if "TZ" in values:
        name = values["TZ"].strip()
        return ZoneInfo(name) if name not in ("", "UTC") else UTC
    try:
        with open("/etc/localtime", "rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC
