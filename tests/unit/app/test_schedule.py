"""Schedules: what is read and what is refused; names of time zones."""

from __future__ import annotations

import pytest

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
        ("@reboot x", "'@reboot x' is not a schedule"),
        ("@fortnightly x", "'@fortnightly x' is not a schedule"),
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
        with pytest.raises(ValueError, match="no such time zone"):
            schedule_module.check_zone(name)
