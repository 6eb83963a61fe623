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
        ("60 * * * * x", "in the minute '60', '60' is not a number from 0 to 59"),
        ("* 24 * * * x", "in the hour '24', '24' is not a number from 0 to 23"),
        ("* * 0 * * x", "in the day of the month '0', '0' is not a number from 1 to 31"),
        (
            "* * * 13 * x",
            "in the month '13', '13' is not a number from 1 to 12, a name such as feb",
        ),
        ("* * * * 8 x", "'8' is not a number from 0 to 7, a name such as mon, a range such as 0-7"),
        ("* * * febr * x", "'febr' is not"),
        ("* * * * today x", "'today' is not"),
        ("mon * * * * x", "'mon' is not"),
        ("5- * * * * x", "in the minute '5-', '5-' is not"),
        ("-5 * * * * x", "'-5' is not"),
        ("1,,2 * * * * x", "'' is not"),
        ("1.5 * * * * x", "'1.5' is not"),
        ("² * * * * x", "'²' is not"),
        ("9999999 * * * * x", "'9999999' is not"),
        ("? * * * * x", "'?' is not"),
        ("* * L * * x", "'l' is not"),
        ("*/0 * * * * x", "'*/0' is not"),
        ("*/ * * * * x", "'*/' is not"),
        ("5/15 * * * * x", "'5/15' is not"),
        ("*-5 * * * * x", "'*-5' is not"),
        ("* 22-2 * * * x", "'22-2' is not"),
        ("* * * x", "is not a schedule and a command"),
        ("python3 tick.py", "is not a schedule and a command"),
        ("* * * * python3 tick.py", "'python3' is not"),
        ("* * * * *", "there is no command"),
        ("@daily", "there is no command"),
        ("0 */5 * * * * x", "a sixth field, '*'"),
        ("0 0 * * 1 */5 x", "a sixth field, '*/5'"),
        ("@reboot x", "'@reboot x' is not a schedule"),
        ("@fortnightly x", "'@fortnightly x' is not a schedule"),
    ],
)
def test_refused(line: str, said: str) -> None:
    with pytest.raises(PikuError) as error:
        schedule_module.parse(line)
    assert said in error.value.message
    assert "\n" not in error.value.message
