"""Schedules: what is read, what is refused, and when a job is next due, against walking every minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku.app import schedule as schedule_module
from piku.errors import PikuError


def schedule(text: str) -> schedule_module.Schedule:
    made, command = schedule_module.parse(f"{text} run it")
    assert (made.text, command) == (text, "run it")
    return made


@pytest.mark.parametrize(
    ("text", "minutes", "hours", "days", "months", "weekdays"),
    [
        ("5 4 3 2 1", [5], [4], [3], [2], [1]),
        ("*/20 * * * *", [0, 20, 40], range(24), range(1, 32), range(1, 13), range(7)),
        (
            "1-30/7 22,2-4 */10 * *",
            [1, 8, 15, 22, 29],
            [2, 3, 4, 22],
            [1, 11, 21, 31],
            range(1, 13),
            range(7),
        ),
        ("0,0,5-7,6 0 * * *", [0, 5, 6, 7], [0], range(1, 32), range(1, 13), range(7)),
        (
            "0 0 * JAN,Mar-may,dec mon-FRI",
            [0],
            [0],
            range(1, 32),
            [1, 3, 4, 5, 12],
            [1, 2, 3, 4, 5],
        ),
        ("0 0 * * 0", [0], [0], range(1, 32), range(1, 13), [0]),
        ("0 0 * * 7", [0], [0], range(1, 32), range(1, 13), [0]),
        ("0 0 * * 5-7", [0], [0], range(1, 32), range(1, 13), [0, 5, 6]),
        ("0 0 * * fri-sun", [0], [0], range(1, 32), range(1, 13), [0, 5, 6]),
        ("0 0 * * sun-tue", [0], [0], range(1, 32), range(1, 13), [0, 1, 2]),
        ("0 0 * * 0-7", [0], [0], range(1, 32), range(1, 13), range(7)),
        ("0 0 * * */2", [0], [0], range(1, 32), range(1, 13), [0, 2, 4, 6]),
        ("59 23 31 12 *", [59], [23], [31], [12], range(7)),
        ("*/90 * * * *", [0], range(24), range(1, 32), range(1, 13), range(7)),
        ("@yearly", [0], [0], [1], [1], range(7)),
        ("@monthly", [0], [0], [1], range(1, 13), range(7)),
        ("@weekly", [0], [0], range(1, 32), range(1, 13), [0]),
        ("@daily", [0], [0], range(1, 32), range(1, 13), range(7)),
        ("@hourly", [0], range(24), range(1, 32), range(1, 13), range(7)),
    ],
)
def test_fields(
    text: str,
    minutes: list[int],
    hours: list[int],
    days: list[int],
    months: list[int],
    weekdays: list[int],
) -> None:
    made = schedule(text)
    assert (made.minutes, made.hours, made.days) == (tuple(minutes), tuple(hours), tuple(days))
    assert (made.months, made.weekdays) == (tuple(months), tuple(weekdays))


def test_shortcuts_that_mean_the_same() -> None:
    assert schedule("@annually") == schedule("@yearly") == schedule("0 0 1 1 *")
    assert schedule("@midnight") == schedule("@daily") == schedule("0 0 * * *")


def test_the_command_is_as_it_was_written() -> None:
    assert schedule_module.parse("*\t*  * *   * sh -c 'a  b' % $X")[1] == "sh -c 'a  b' % $X"
    assert schedule_module.parse("@daily   a  b")[1] == "a  b"
    assert schedule_module.parse("0 0 * * * */bin/thing")[1] == "*/bin/thing"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("60 * * * * x", "in the minute '60', 60 is not within 0 to 59"),
        ("* 24 * * * x", "in the hour '24', 24 is not within 0 to 23"),
        ("* * 0 * * x", "in the day of the month '0', 0 is not within 1 to 31"),
        ("* * * 13 * x", "in the month '13', 13 is not within 1 to 12"),
        ("* * * * 8 x", "in the day of the week '8', 8 is not within 0 to 7"),
        ("* * * febr * x", "'febr' is not a number nor one of jan feb"),
        ("* * * * today x", "'today' is not a number nor one of sun mon"),
        ("mon * * * * x", "'mon' is not a number"),
        ("5- * * * * x", "in the minute '5-', '' is not a number"),
        ("-5 * * * * x", "'-5' is not a number"),
        ("1,,2 * * * * x", "'' is not a number"),
        ("1.5 * * * * x", "'1.5' is not a number"),
        ("² * * * * x", "'²' is not a number"),
        ("9999999 * * * * x", "'9999999' is not a number"),
        ("? * * * * x", "'?' is not a number"),
        ("* * L * * x", "'L' is not a number"),
        ("*/0 * * * * x", "the step '0' is not a whole number above 0"),
        ("*/ * * * * x", "the step '' is not a whole number above 0"),
        ("*/x * * * * x", "the step 'x' is not"),
        ("5/15 * * * * x", "write 5-59/15"),
        ("*-5 * * * * x", "'*' is not a number"),
        ("* 22-2 * * * x", "'22-2' goes backwards: write 22-23,0-2"),
        ("* * * * sat-mon x", "write sat-7,0-mon"),
        ("* * * * x", "in the day of the week 'x', 'x' is not a number nor one of sun mon"),
        ("* * * x", "is not a schedule and a command"),
        ("python3 tick.py", "is not a schedule and a command"),
        ("* * * * python3 tick.py", "'python3' is not a number"),
        ("* * * * *", "there is no command"),
        ("@daily", "there is no command"),
        ("0 */5 * * * * x", "a sixth field, '*'"),
        ("0 0 * * 1 */5 x", "a sixth field, '*/5'"),
        ("@reboot x", "@reboot is not a time"),
        ("@fortnightly x", "'@fortnightly' is not a schedule"),
        ("0 0 31 feb * x", "never comes: no such month has 31 days"),
        ("0 0 30,31 2 * x", "no such month has 30 days"),
        ("0 0 31 4,6,9,11 * x", "no such month has 31 days"),
    ],
)
def test_refused(line: str, said: str) -> None:
    with pytest.raises(PikuError) as error:
        schedule_module.parse(line)
    assert said in error.value.message
    assert "\n" not in error.value.message


def test_dates_that_do_come() -> None:
    for text in ("0 0 29 2 *", "0 0 31 2,3 *", "0 0 30 2 mon", "0 0 31 * *"):
        schedule(text)


# --- moments -------------------------------------------------------------------------------------

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
        following = schedule_module.next_run(made, moment, zone)
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
    try:
        made = schedule(text)
    except PikuError as error:
        assert "never comes" in error.message
        return
    begin = start.replace(tzinfo=UTC)
    found = schedule_module.next_run(made, begin, zone)
    walked = next((moment for moment in minutes(begin, 3 * 1440) if due(made, moment, zone)), None)
    if walked is None:
        assert found is None or found > begin + timedelta(minutes=3 * 1440)
        assert found is None or due(made, found.astimezone(UTC), zone)
    else:
        assert found is not None and found.astimezone(UTC) == walked


@given(text=TEXTS)
def test_what_is_accepted_does_come(text: str) -> None:
    try:
        made = schedule(text)
    except PikuError:
        return
    assert schedule_module.next_run(made, datetime(2026, 1, 1, tzinfo=UTC), UTC) is not None


# --- time zones ----------------------------------------------------------------------------------


def test_zones() -> None:
    for name in ("", "UTC", "Europe/Lisbon", "America/Argentina/Buenos_Aires", "EST5EDT"):
        assert schedule_module.check_zone(name) == name
    for name in (
        "Europe/Lisboa",
        "lisbon",
        "Europe",
        "../../../etc/passwd",
        "/etc/localtime",
        "a\0b",
        "UTC+3",
    ):
        with pytest.raises(ValueError, match="not a time zone"):
            schedule_module.check_zone(name)
    with pytest.raises(ValueError, match=r"did you mean Europe/Lisbon\?"):
        schedule_module.check_zone("Europe/Lisboa")


def test_the_zone_of_an_app() -> None:
    assert schedule_module.zone({"TZ": "Europe/Lisbon"}) == LISBON
    assert schedule_module.zone({"TZ": ""}) is schedule_module.zone({"TZ": "UTC"}) is UTC
    now = datetime.now(UTC)
    assert now.astimezone(schedule_module.zone({})).utcoffset() == now.astimezone().utcoffset()
