"""docs/tutorial.md, line by line, against a real server: each command is run, what it prints compared.

A line of the page matches one of the real output when both are the same but for numbers, names of commits and
the width of spaces. What is printed and not shown has to be left out visibly, by a line "...".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.support import NO_EXTRAS
from tests.e2e.tutorial import FAILS, PAGE, Command, File, Reader, steps

LEFT_OUT = "..."


def same(shown: str, real: str) -> bool:
    """Whether they differ in nothing but what differs from run to run."""
    return _plain(shown) == _plain(real)


def _plain(line: str) -> str:
    line = re.sub(r"\b[0-9a-f]{7,40}\b", "COMMIT", line)
    line = re.sub(r"\b\d{4}-\d\d-\d\d\b|\b\d\d/\w{3}/\d{4}\b", "DATE", line)
    line = re.sub(r"\b\d\d:\d\d:\d\d\b", "TIME", line)
    line = re.sub(r"\(read [^)]*\)", "(STEPS)", line)  # one that took no time is not named
    line = re.sub(r"\d+(\.\d+)+", "0.0", line)
    line = re.sub(r"\b\d+ms\b", "0ms", line)
    line = re.sub(r"(?<=  )\d+s?(?=  )", "N", line)  # a number in a column of a table
    return re.sub(r" +", " ", line).rstrip()


def mismatch(shown: Sequence[str], real: Sequence[str]) -> str:
    """What of the page is not what was printed; empty when all is."""
    rest = list(real)
    skipping = False
    for line in shown:
        if line == LEFT_OUT:
            skipping = True
            continue
        while skipping and rest and not same(line, rest[0]):
            rest.pop(0)
        if not rest or not same(line, rest[0]):
            return f"the page shows {line!r}, and there is {rest[0] if rest else 'nothing more'!r}"
        rest.pop(0)
        skipping = False
    return f"the page does not show {rest[0]!r}" if rest and not skipping else ""


@pytest.mark.skipif(NO_EXTRAS, reason="it shows the remarks of an extra")
def test_every_line_of_the_tutorial(own_server: Sandbox, tmp_path: Path) -> None:
    reader = Reader(own_server, tmp_path)
    wrong = []
    for step in steps(PAGE.read_text()):
        if isinstance(step, File):
            reader.write(step)
            continue
        real = reader.run(step)
        print("\n".join([f"$ {step.line}", *real]))
        if found := mismatch(step.output, real):
            wrong.append(f"$ {step.line}\n    {found}")
    assert not wrong, "\n".join(wrong)


def test_the_page_has_what_is_to_be_tried() -> None:
    found = list(steps(PAGE.read_text()))
    assert sum(isinstance(step, Command) for step in found) > 20
    assert sum(isinstance(step, File) for step in found) == 4
    pushes = [
        step for step in found if isinstance(step, Command) and step.line.startswith("git push")
    ]
    assert len(pushes) >= 4 and any(
        line.startswith(FAILS) for push in pushes for line in push.output
    )


@pytest.mark.parametrize(
    ("shown", "real", "found"),
    [
        (["v1 in 0.10 s"], ["v1 in 7.33 s"], ""),
        (["v1 is live"], ["v2 is live"], "the page shows 'v1 is live', and there is 'v2 is live'"),
        (["a"], ["a", "b"], "the page does not show 'b'"),
        (["a", "..."], ["a", "b", "c"], ""),
        (["a", "...", "c"], ["a", "b", "c"], ""),
        (["a", "...", "d"], ["a", "b", "c"], "the page shows 'd', and there is 'nothing more'"),
        (["a", "b"], ["a"], "the page shows 'b', and there is 'nothing more'"),
        ([], ["a"], "the page does not show 'a'"),
    ],
)
def test_how_output_is_compared(shown: list[str], real: list[str], found: str) -> None:
    assert mismatch(shown, real) == found
