"""When a job runs next. Pure but for the server's time zone."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import product
from zoneinfo import ZoneInfo

from piku.app.schedule import Schedule

# 29 February on a given weekday comes every 28 years, and every 40 around a year such as 2100.
_HORIZON = 366 * 41


def next_run(schedule: Schedule, after: datetime, zone: tzinfo) -> datetime | None:
    """The first moment after `after` (aware) at which the job is due, in `zone`; None for never."""
    first = after.astimezone(zone).date() - timedelta(days=1)
    for number in range(_HORIZON):
        day = first + timedelta(days=number)
        if _has(schedule, day):
            moments = [moment for moment in _moments(schedule, day, zone) if moment > after]
            if moments:
                return min(moments).astimezone(zone)
    return None


def _has(schedule: Schedule, day: date) -> bool:
    fits = (day.day in schedule.days, day.isoweekday() % 7 in schedule.weekdays)
    return day.month in schedule.months and (any(fits) if schedule.either else all(fits))


def _moments(schedule: Schedule, day: date, zone: tzinfo) -> Iterator[datetime]:
    """The moments of a day, in UTC. A time that the clock jumps over is none."""
    for hour, minute in product(schedule.hours, schedule.minutes):
        for fold in (0,) if schedule.by_clock else (0, 1):
            local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone, fold=fold)
            moment = local.astimezone(UTC)
            if moment.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
                yield moment


def zone_of(values: Mapping[str, str]) -> tzinfo:
    """The time zone that an app's settings name, else the server's, as uWSGI understands both."""
    if "TZ" in values:
        name = values["TZ"].strip()
        return ZoneInfo(name) if name not in ("", "UTC") else UTC
    try:
        with open("/etc/localtime", "rb") as file:
            return ZoneInfo.from_file(file)
    except (OSError, ValueError):
        return UTC
