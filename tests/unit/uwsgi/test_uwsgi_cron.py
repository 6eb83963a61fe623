"""uWSGI's lines for a schedule: it is called at every moment of it, and not much besides."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku.app import schedule as schedule_module
from piku.errors import PikuError
from piku.uwsgi.cron import Scheduler, config

SCHEDULER = Scheduler(
    folder="/f", python="/usr/bin/python3", log="/f/log", notes="/f/notes", zone=None
)
LINE = re.compile(
    r"cron2 = minute=(\d+),hour=(-?\d+),day=(-?\d+),month=(-?\d+),week=(-?\d+) exec .* cron-x (\d+)"
)


def lines(text: str) -> list[list[int]]:
    schedule, _ = schedule_module.parse(f"{text} x")
    found = [
        LINE.fullmatch(line)
        for line in config(SCHEDULER, {"cron-x": schedule}).splitlines()
        if "cron2" in line
    ]
    assert all(line is not None and line[1] == line[6] for line in found)
    return [[int(word) for word in line.groups()] for line in found if line is not None]


def calls(line: list[int], moment: datetime) -> bool:
    """What uWSGI does with a line: -1 is any, and it takes day and weekday as either."""
    shown = (moment.minute, moment.hour, moment.day, moment.month, moment.isoweekday() % 7)
    minute, hour, day, month, week = (
        wanted in (-1, is_) for wanted, is_ in zip(line[:5], shown, strict=True)
    )
    both = line[2] >= 0 and line[4] >= 0
    return minute and hour and month and (day or week if both else day and week)


def element(low: int, high: int) -> st.SearchStrategy[str]:
    numbers = st.lists(st.integers(low, high).map(str), min_size=1, max_size=6).map(",".join)
    return st.just("*") | numbers | st.integers(1, 9).map("*/{}".format)


TEXTS = st.tuples(
    element(0, 59), element(0, 23), element(1, 28), element(1, 12), element(0, 7)
).map(" ".join)


@given(text=TEXTS, start=st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)))
def test_it_is_called_whenever_the_job_is_due(text: str, start: datetime) -> None:
    found = lines(text)
    assert len(found) <= 120
    schedule, _ = schedule_module.parse(f"{text} x")
    moment = schedule_module.next_run(schedule, start.replace(tzinfo=UTC), UTC)
    assert moment is not None
    assert any(calls(line, moment) for line in found)


@pytest.mark.parametrize(
    ("text", "count", "a_week"),
    [
        ("@daily", 1, 7),
        ("* * * * *", 60, 7 * 1440),
        ("*/5 9-17 * * *", 108, 7 * 108),
        ("*/15 9-12 * * mon-fri", 80, 80),
        ("0 6 1,15 * fri", 3, 1),
        # Days and hours would be 540 lines: it is called at weekends as well, and the runner looks.
        ("*/5 9-17 * * mon-fri", 108, 7 * 108),
    ],
)
def test_a_few_lines_do(text: str, count: int, a_week: int) -> None:
    found = lines(text)
    assert len(found) == count
    monday = datetime(2026, 11, 16, tzinfo=UTC)
    minutes = (monday + timedelta(minutes=number) for number in range(7 * 1440))
    assert sum(any(calls(line, moment) for line in found) for moment in minutes) == a_week


def test_the_zone_is_the_apps_or_the_servers() -> None:
    schedule, _ = schedule_module.parse("@daily x")
    assert "unenv = TZ\n" in config(SCHEDULER, {"cron-x": schedule})
    own = Scheduler(**{**vars(SCHEDULER), "zone": "Europe/Lisbon"})
    assert "env = TZ=Europe/Lisbon\n" in config(own, {"cron-x": schedule})


def test_a_folder_that_cannot_be_given_is_refused() -> None:
    schedule, _ = schedule_module.parse("@daily x")
    with pytest.raises(PikuError, match="cannot be given to uWSGI"):
        config(Scheduler(**{**vars(SCHEDULER), "folder": "/a$(b)"}), {"cron-x": schedule})
