"""What a push shows of a program that prints a lot, and where the rest is."""

import io
from collections.abc import Callable
from pathlib import Path

from piku.errors import PikuError
from piku.extras.excerpt.excerpt import Excerpt
from piku.output import MASK, Output
from tests.e2e.support import App, web


def excerpt(tmp_path: Path, lines: list[str], *, failed: bool, minor: bool = False) -> list[str]:
    """What is shown of a program; the log must have every line of it, and nothing else."""
    stream, log = io.StringIO(), tmp_path / "log"
    output = Output(stream, log=log)
    output.hide({"TOKEN": "sesame"})
    try:
        with Excerpt(output, "piku logs shop build", minor=minor) as shown:
            for line in lines:
                shown.add(line)
            if failed:
                raise PikuError("it failed")
    except PikuError:
        assert failed
    kept = [line[20:] for line in log.read_text().splitlines()]
    assert kept == [f"       {line.replace('sesame', MASK)}" for line in lines]
    assert all(line.startswith("       ") for line in stream.getvalue().splitlines())
    return [line[7:] for line in stream.getvalue().splitlines()]


def test_a_short_program_is_shown_whole(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(25)]
    assert excerpt(tmp_path, lines, failed=False) == lines


def test_of_a_long_program_the_beginning_and_the_end_are_shown(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(627)]
    more = "more lines in the build log: piku logs shop build"
    assert excerpt(tmp_path, lines, failed=False) == [*lines[:20], f"… 602 {more}", *lines[-5:]]


def test_of_one_that_failed_more_of_its_end_is_shown(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(627)]
    more = "more lines in the build log: piku logs shop build"
    assert excerpt(tmp_path, lines, failed=True) == [*lines[:20], f"… 567 {more}", *lines[-40:]]


def test_of_a_minor_one_the_last_line_is_shown(tmp_path: Path) -> None:
    more = "more lines in the build log: piku logs shop build"
    assert excerpt(tmp_path, ["a", "b", "c"], failed=True, minor=True) == [f"… 2 {more}", "c"]
    (tmp_path / "log").unlink()
    one = more.replace("lines", "line")
    assert excerpt(tmp_path, ["a", "b"], failed=True, minor=True) == [f"… 1 {one}", "b"]
    (tmp_path / "log").unlink()
    assert excerpt(tmp_path, ["a"], failed=True, minor=True) == ["a"]


def test_of_a_progress_bar_its_last_state_is_shown(tmp_path: Path) -> None:
    stream = io.StringIO()
    Excerpt(Output(stream), "", minor=False).add("10%\r50%\r100%")
    assert stream.getvalue() == "       100%\n"


def test_of_a_slow_program_a_line_is_shown_now_and_then_and_the_end_without_a_gap() -> None:
    stream = io.StringIO()
    ticks = iter(range(1000))
    with Excerpt(Output(stream), "LOG", minor=False, clock=lambda: float(next(ticks))) as shown:
        for number in range(1, 41):
            shown.add(f"{number}")
    said = stream.getvalue().split()
    assert said[:20] == [str(number) for number in range(1, 21)]
    between = said[20 : said.index("…")]
    assert 2 <= len(between) <= 4 and between == sorted(between, key=int)
    assert said[-5:] == ["36", "37", "38", "39", "40"]


def test_a_slow_program_with_few_lines_says_none_twice() -> None:
    stream = io.StringIO()
    ticks = iter(range(0, 10000, 10))
    with Excerpt(Output(stream), "LOG", minor=False, clock=lambda: float(next(ticks))) as shown:
        for number in range(30):
            shown.add(f"{number}")
    assert stream.getvalue().split() == [str(number) for number in range(30)]


def test_a_silent_program_is_said_to_be_running() -> None:
    stream = io.StringIO()
    Excerpt(Output(stream), "", minor=False).idle()
    assert stream.getvalue() == "       … still running after 0s\n"


def test_a_push_shows_what_matters_and_says_where_the_rest_is(new_app: Callable[..., App]) -> None:
    command = "seq -f 'row %.0f.' 1000; exit 1"
    app = new_app("rows", web("rows", procfile=f"release: {command}\n"), push=False)
    said = app.failed()
    at = said.index("       row 1.")
    rest = "       … 940 more lines in the build log: piku logs rows build"
    assert [said.index(line) for line in ("       row 20.", rest, "       row 961.")] == [
        at + 19, at + 20, at + 21,
    ]  # fmt: skip
    assert "       row 1000." in said
    assert "       row 500." not in said
    transcript = app.does("logs", "build")
    assert transcript.count(" row 500.\n") == 1
    assert " more lines " not in transcript
    app.push()
    assert app.does("logs", "build").count(" row 500.\n") == 1
