"""When backups are due, when they are missed, and which are kept."""

import time
from datetime import datetime

import pytest

from piku.errors import PikuError
from piku.extras.backup_schedule import schedule, targets
from piku.extras.backup_schedule.schedule import Plan, State
from piku.extras.backup_schedule.targets import Target
from piku.paths import AppName


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()


@pytest.mark.parametrize(
    ("when", "after", "first", "second"),
    [
        ("@daily", "2026-02-28 10:00", "2026-03-01 00:00", "2026-03-02 00:00"),
        ("@hourly", "2026-02-28 23:00", "2026-03-01 00:00", "2026-03-01 01:00"),
        ("*/20 3 * * *", "2026-02-28 03:30", "2026-02-28 03:40", "2026-03-01 03:00"),
        ("@weekly", "2026-11-29 00:00", "2026-12-06 00:00", "2026-12-13 00:00"),
        ("@monthly", "2026-11-29 00:00", "2026-12-01 00:00", "2027-01-01 00:00"),
        ("0 5 29 2 *", "2026-11-29 00:00", "2028-02-29 05:00", "2032-02-29 05:00"),
        ("0 5 13 * fri", "2026-11-29 00:00", "2026-12-04 05:00", "2026-12-11 05:00"),
    ],
)
def test_when_it_comes(when: str, after: str, first: str, second: str) -> None:
    found = schedule.times(schedule.parse(when), at(after))
    assert [next(found), next(found)] == [at(first), at(second)]


def test_due_and_stale() -> None:
    plan = Plan(when="@daily", since=at("2026-11-29 12:00"))

    def both(now: str, **times: str) -> tuple[bool, bool]:
        state = State(**{name: at(text) for name, text in times.items()})  # type: ignore[arg-type]
        return schedule.is_due(plan, state, at(now)), schedule.is_stale(plan, state, at(now))

    assert both("2026-11-29 23:59") == (False, False)
    assert both("2026-11-30 00:00") == (True, False)
    # What was tried is not tried before the next time, and is missed after two of them.
    assert both("2026-11-30 10:00", attempted="2026-11-30 00:01") == (False, False)
    assert both("2026-12-01 00:00", attempted="2026-12-01 00:00") == (False, True)
    good = {"attempted": "2026-12-01 00:01", "succeeded": "2026-12-01 00:01"}
    assert both("2026-12-02 23:59", **good) == (True, False)
    assert both("2026-12-03 00:00", **good) == (True, True)
    # A server that was off has it done at once.
    assert both("2026-12-24 15:00", **good) == (True, True)


def test_a_schedule_without_a_command() -> None:
    with pytest.raises(PikuError, match="is not a schedule"):
        schedule.parse("daily")
    with pytest.raises(PikuError, match="sixth field"):
        schedule.parse("* * * * * *")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("/mnt/x", Target(folder="/mnt/x")),
        ("me@nas:backups", Target(folder="backups", host="me@nas")),
        ("nas:/srv/b", Target(folder="/srv/b", host="nas")),
        ("ssh://me@nas:2222/srv/b", Target(folder="/srv/b", host="ssh://me@nas:2222")),
        ("rclone:s3:bucket/x", Target(folder="s3:bucket/x", rclone=True)),
    ],
)
def test_places(text: str, target: Target) -> None:
    assert targets.parse(text) == target


@pytest.mark.parametrize(
    "text",
    ["", "x", "relative/x", "-oProxyCommand=x:y", "nas:-rf", "rclone:x", "rclone:-x:y", "a:b:c"],
)
def test_no_places(text: str) -> None:
    with pytest.raises(PikuError, match="is no place for backups"):
        targets.parse(text)


def test_which_are_kept() -> None:
    names = [f"shop-2026112{day}-000000.tar.zst" for day in range(5)]
    others = ["shop-2-20261120-000000.tar.zst", "shop.txt", "shop-20261120-000000.tar", "notes"]
    cut = ["shop-20261101-000000.tar.zst.age.part"]
    found = targets.superseded(AppName("shop"), [*names, *others, *cut], 3)
    assert list(found) == [*cut, *names[:2]]
    assert not list(targets.superseded(AppName("shop"), [*names, *others], 0))
    assert not list(targets.superseded(AppName("shop"), names, 9))
    assert not list(targets.superseded(AppName("s.op"), names, 1))
