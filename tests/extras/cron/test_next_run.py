"""When a job runs next, against walking every minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku.app import schedule as schedule_module
from piku.errors import PikuError
from piku.extras.cron.next_run import next_run, zone_of
from piku.extras.cron.zone import TIME_ZONE


def schedule(text: str) -> schedule_module.Schedule:
    return schedule_module.parse(f"{text} run it")[0]


LISBON, BERLIN, NEW_YORK = (
    ZoneInfo("Europe/Lisbon"),
    ZoneInfo("Europe/Berlin"),
    ZoneInfo("America/New_York"),
)
ZONES: tuple[tzinfo, ...] = (
    UTC, LISBON, BERLIN, NEW_YORK, ZoneInfo("Asia/Kathmandu"), ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("America/St_Johns"), ZoneInfo("Asia/Beirut"), ZoneInfo("Pacific/Apia"), ZoneInfo("Africa/Casablanca"),
)  # fmt: skip


def runs(text: str, start: str, zone: tzinfo, count: int) -> list[str]:
    made, moment = schedule(text), datetime.fromisoformat(start).replace(tzinfo=zone)
    found = []
    for _ in range(count):
        following = next_run(made, moment, zone)
        assert following is not None
        moment = following
        found.append(f"{moment:%Y-%m-%d %H:%M %Z}")
    return found


def test_either_day_will_do() -> None:
    assert runs("0 0 13 * fri", "2026-11-01", UTC, 5) == [
        f"2026-11-{day:02} 00:00 UTC" for day in (6, 13, 20, 27)
    ] + ["2026-12-04 00:00 UTC"]  # fmt: skip
    # A field that begins with `*` restricts nothing by itself, as in cron.
    assert runs("0 0 */2 * fri", "2026-11-01", UTC, 2) == [
        "2026-11-13 00:00 UTC",
        "2026-11-27 00:00 UTC",
    ]


def test_rare_dates() -> None:
    assert runs("0 0 29 2 *", "2026-11-01", UTC, 2) == [
        "2028-02-29 00:00 UTC",
        "2032-02-29 00:00 UTC",
    ]
    assert runs("0 0 29 2 *", "2096-03-01", UTC, 1) == ["2104-02-29 00:00 UTC"]
    assert runs("0 0 29 2 */4", "2028-03-01", UTC, 1) == ["2032-02-29 00:00 UTC"]


def test_the_moment_itself_is_over() -> None:
    assert runs("0 12 * * *", "2026-11-21 12:00", UTC, 1) == ["2026-11-22 12:00 UTC"]
    assert runs("0 12 * * *", "2026-11-21 11:59:59", UTC, 1) == ["2026-11-21 12:00 UTC"]


def test_in_spring_a_time_that_the_clock_jumps_over_does_not_come() -> None:
    assert runs("30 2 * * *", "2026-03-28", BERLIN, 3) == [
        "2026-03-28 02:30 CET", "2026-03-30 02:30 CEST", "2026-03-31 02:30 CEST",
    ]  # fmt: skip
    assert runs("*/30 * * * *", "2026-03-29 01:20", BERLIN, 2) == [
        "2026-03-29 01:30 CET", "2026-03-29 03:00 CEST",
    ]  # fmt: skip


def test_in_autumn_a_given_time_comes_once_and_intervals_go_on() -> None:
    assert runs("30 2 * * *", "2026-10-24 12:00", BERLIN, 2) == [
        "2026-10-25 02:30 CEST", "2026-10-26 02:30 CET",
    ]  # fmt: skip
    assert runs("*/30 * * * *", "2026-10-25 01:30", BERLIN, 5) == [
        "2026-10-25 02:00 CEST", "2026-10-25 02:30 CEST", "2026-10-25 02:00 CET", "2026-10-25 02:30 CET",
        "2026-10-25 03:00 CET",
    ]  # fmt: skip


def minutes(start: datetime, count: int) -> Iterator[datetime]:
    first = start.replace(second=0, microsecond=0)
    return (first + timedelta(minutes=number) for number in range(1, count + 1))


def due(made: schedule_module.Schedule, moment: datetime, zone: tzinfo) -> bool:
    """crontab(5), looked at minute by minute."""
    local = moment.astimezone(zone)
    if made.by_clock and local.fold:
        return False
    day = local.day in made.days, local.isoweekday() % 7 in made.weekdays
    return (
        local.minute in made.minutes and local.hour in made.hours and local.month in made.months
        and (any(day) if made.either else all(day))
    )  # fmt: skip


def element(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    step = st.tuples(span | st.just("*"), st.integers(1, 40)).map(
        lambda pair: f"{pair[0]}/{pair[1]}"
    )
    return st.just("*") | number.map(str) | span | step


def any_of(low: int, high: int) -> st.SearchStrategy[str]:
    return st.lists(element(low, high), min_size=1, max_size=3).map(",".join) | st.just("*")


TEXTS = st.tuples(any_of(0, 59), any_of(0, 23), any_of(1, 31), any_of(1, 12), any_of(0, 7)).map(
    " ".join
)
# Around the changes of the clock, where it matters.
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2029, 1, 1)) | st.sampled_from(
    [
        datetime(2026, 3, 28, 20),
        datetime(2026, 10, 24, 20),
        datetime(2026, 11, 1, 1),
        datetime(2026, 4, 4, 10),
        datetime(2011, 11, 6, 1),
        datetime(2026, 3, 8, 5),
        datetime(2011, 12, 29, 20),
    ]
)


@given(text=TEXTS, start=MOMENTS, zone=st.sampled_from(ZONES))
def test_the_next_run_is_the_first_minute_that_fits(
    text: str, start: datetime, zone: tzinfo
) -> None:
    made = schedule(text)
    begin = start.replace(tzinfo=UTC)
    found = next_run(made, begin, zone)
    walked = next((moment for moment in minutes(begin, 3 * 1440) if due(made, moment, zone)), None)
    if walked is None:
        assert found is None or found > begin + timedelta(minutes=3 * 1440)
        assert found is None or due(made, found.astimezone(UTC), zone)
    else:
        assert found is not None and found.astimezone(UTC) == walked


def test_the_zone_of_an_app() -> None:
    assert zone_of({"TZ": "Europe/Lisbon"}) == LISBON
    assert zone_of({"TZ": ""}) is zone_of({"TZ": "UTC"}) is UTC
    now = datetime.now(UTC)
    assert now.astimezone(zone_of({})).utcoffset() == now.astimezone().utcoffset()


def test_zones() -> None:
    for name in ("", "UTC", "Europe/Lisbon", "America/Argentina/Buenos_Aires", "EST5EDT"):
        assert TIME_ZONE.read({"TZ": name}) == name
    for name in (
        "Europe/Lisboa",
        "lisbon",
        "Europe",
        "../../../etc/passwd",
        "/etc/localtime",
        "a\0b",
        "UTC+3",
    ):
        with pytest.raises(PikuError, match="no such time zone"):
            TIME_ZONE.read({"TZ": name})
