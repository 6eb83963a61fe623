"""What a person sees: shapes, and secrets that are not shown."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from piku.errors import PikuError
from piku.extras.shared import seconds
from piku.output import MASK, Output, duration, is_secret, table


def test_shapes() -> None:
    stream = io.StringIO()
    output = Output(stream)
    output.step("Building")
    output.detail("one")
    output.detail("two")
    output.error(PikuError("It failed", hint="Do this", detail=("evidence",)))
    assert stream.getvalue() == (
        "-----> Building\n       one\n       two\n       evidence\n !     It failed\n !     Do this\n"
    )


@pytest.mark.parametrize(
    "name",
    ["SECRET_KEY", "DB_PASSWORD", "PASSWD", "API_TOKEN", "AWS_SECRET_ACCESS_KEY", "APIKEY", "API_KEY",
     "SENTRY_DSN",
     "GOOGLE_CREDENTIALS", "PRIVATE_PEM", "AUTH_HEADER", "key", "KEY_ID"],
)  # fmt: skip
def test_names_that_look_secret(name: str) -> None:
    assert is_secret(name, "value")
    assert not is_secret(name, "")


@pytest.mark.parametrize("name", ["DATABASE_URL", "NAME", "KEYBOARD", "MONKEY", "PORT", "HOST"])
def test_names_that_do_not(name: str) -> None:
    assert not is_secret(name, "value")


def test_an_address_with_a_password_is_a_secret_by_its_value() -> None:
    assert is_secret("DATABASE_URL", "postgres://u:p@host/db")
    assert not is_secret("URL", "https://example.com:8080/a@b")


def test_secrets_are_masked_wherever_they_stand(tmp_path: Path) -> None:
    stream = io.StringIO()
    output = Output(stream, log=tmp_path / "logs" / "build.log")
    output.hide(
        {
            "API_TOKEN": "abc.def",
            "OTHER_TOKEN": "abc.def-longer",
            "A": "visible",
            "SHORT_KEY": "x",
            "SIGNING_KEY": "of two\nlines = abc.def\n",
        }
    )
    output.detail("curl -H abc.def-longer?abc.def visible x")
    output.detail("a file with lines = abc.def of a key")
    output.error(PikuError("bad abc.def", hint="not abc.def", detail=("see abc.def",)))
    shown = stream.getvalue()
    assert "abc.def" not in shown and "longer" not in shown
    assert f"{MASK}?{MASK} visible x" in shown and f"with {MASK} of a key" in shown
    kept = (tmp_path / "logs" / "build.log").read_text()
    assert "abc.def" not in kept
    assert len(kept.splitlines()) == len(shown.splitlines())
    assert (tmp_path / "logs" / "build.log").stat().st_mode & 0o007 == 0


def test_a_reader_that_goes_away_does_not_stop_us(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as stream:
        output = Output(stream, log=tmp_path / "log")
        output.step("one")
        output.step("two")
    assert [line.split(" ", 2)[2] for line in (tmp_path / "log").read_text().splitlines()] == [
        "-----> one",
        "-----> two",
    ]


def test_a_very_long_line_is_cut_after_secrets_are_hidden(tmp_path: Path) -> None:
    stream = io.StringIO()
    output = Output(stream, log=tmp_path / "log")
    output.hide({"TOKEN": "sesame"})
    line = f"ERROR: none of (from versions: {'x' * 360}sesame, 1.0, 2.0) fits"
    output.detail(line)
    assert stream.getvalue() == f"       {line[:391]}**… 22 more characters in the build log\n"
    kept = f"       {line.replace('sesame', MASK)}\n"
    assert (tmp_path / "log").read_text().endswith(kept)
    # Without a log, a line is shown as it is.
    Output(stream).detail(line)
    assert stream.getvalue().endswith(f"       {line}\n")


def test_tables_are_aligned_and_end_without_blanks() -> None:
    assert table([]) == []
    assert table([("A", "LONG", "C"), ("aaa", "b", "")]) == ["A    LONG  C", "aaa  b"]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0s"), (59.9, "59s"), (60, "1m"), (7199, "1h"), (86400, "1d"), (200000, "2d")],
)
def test_lengths_of_time(size: float, text: str) -> None:
    assert duration(size) == text


def test_lengths_of_time_as_a_person_gives_them() -> None:
    given = {"90m": 5400, "12h": 43200, "7d": 604800, "4w": 2419200}
    assert {text: seconds(text) for text in given} == given
    for text in ("", "7", "d", "0d", "7 d", "-7d", "1.5h", "7y", "999999d", "7d\n", "٣d"):
        with pytest.raises(PikuError, match="is not a length of time"):
            seconds(text)
