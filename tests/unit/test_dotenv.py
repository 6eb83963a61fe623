"""How values are written: the table of docs/variables.md, and what is kept is what was given."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku import dotenv, files
from piku.errors import PikuError

PAGE = Path(__file__).resolve().parents[2] / "docs/variables.md"
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
# Every string that the arguments of a program can be.
VALUES = st.binary(max_size=60).map(os.fsdecode).filter(lambda text: "\0" not in text)
ODD = st.text("$A{}='\"# \\@(é\u2028\x85\f\t;\r\n", max_size=20)
LOWER = {"LOW": "low", "RAW": "$LOW"}
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQ+/ab==\nA=1\n-----END PRIVATE KEY-----\n"


@given(st.dictionaries(NAMES, VALUES | ODD))
def test_what_is_read_back_is_what_was_given(values: dict[str, str]) -> None:
    text = dotenv.render(values)
    assert dotenv.parse(text, "x") == dotenv.parse(text, "x", {"A": "1"}) == values
    assert dotenv.parse(files.decode(text.encode(errors="surrogateescape")), "x") == values


@pytest.mark.parametrize(
    "value",
    ["a=b==", "a b", "é ü 日本", "a\\nb", "%d", "it's", '{"a": 1}', "#fff", "a#b", "", "a\tb"],
)
def test_most_values_are_kept_as_they_are(value: str) -> None:
    assert dotenv.render({"X": value}) == f"X={value}\n"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("# c\n\n  # d\nA=1\n", {"A": "1"}),
        ("  A = x y \n", {"A": "x y"}),
        ("A=\nB=1", {"A": "", "B": "1"}),
        ("A= # nothing\nB=1", {"A": "", "B": "1"}),
        ("A=b=c\n", {"A": "b=c"}),
        ("A=1\nB=$A\nC=${A}2\n", {"A": "1", "B": "1", "C": "12"}),
        ("B=$A\nA=1\n", {"B": "$A", "A": "1"}),
        ("LOW=$LOW/more\n", {"LOW": "low/more"}),
        ("A=$RAW\n", {"A": "$LOW"}),
        ("A=$NONE ${NONE} $ $1 $(x) ${\n", {"A": "$NONE ${NONE} $ $1 $(x) ${"}),
        ('A=" $LOW \\$LOW x"\n', {"A": " low $LOW x"}),
        ("A='C:\\dir\\'\nB='x'\n", {"A": "C:\\dir\\", "B": "x"}),
        ("A='it\\'s \\\\ \\n'\n", {"A": "it's \\ \\n"}),
        ("A=it's\n", {"A": "it's"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("A=é\u2028b\x85c\fd\n", {"A": "é\u2028b\x85c\fd"}),
        (f'A="{KEY}" # the key\nB=1', {"A": KEY, "B": "1"}),
        (f"A='{KEY}'\n", {"A": KEY}),
        ('A="{}"'.format(KEY.replace("\n", "\\n")), {"A": KEY}),
    ],
)
def test_files_that_people_write(text: str, values: dict[str, str]) -> None:
    assert dotenv.parse(text, "ENV", LOWER) == values


def test_the_table_of_the_page() -> None:
    rows = re.findall(
        r"^\| `(X?.*?)` \| (?:`(.*?)`|(nothing)|(.*)) \|", PAGE.read_text(), re.MULTILINE
    )
    assert len(rows) >= 12
    for written, value, nothing, _ in rows:
        if value or nothing:
            assert dotenv.parse(written, "ENV", LOWER)["X"] == value, written


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\nnonsense\n", "ENV line 2 is not of the form NAME=value"),
        ("=x\n", "ENV line 1 is not of the form NAME=value"),
        ("# \f\x85\u2028\nB\n", "ENV line 2 is not of the form NAME=value"),
        (f"A={KEY}", "ENV line 2 is not of the form NAME=value"),
        (f'A=1\nB="{KEY}', "ENV line 2: the value of B begins with a quote, but does not end with it"),
        ("A='a' b", "ENV line 1: the value of A begins with a quote, but does not end with it"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_but_not_shown(text: str, message: str) -> None:
    with pytest.raises(PikuError) as error:
        dotenv.parse(text, "ENV")
    assert error.value.message == message


# --- as editors write it ------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, end: str) -> None:
    text = "web: x\nworker: grün\n"
    (tmp_path / "Procfile").write_bytes(text.replace("\n", end).encode(encoding))
    assert files.read(tmp_path / "Procfile") == text


@pytest.mark.parametrize(
    "text",
    [
        "A=x" + " " * 500_000 + "y",
        "A='" + " " * 500_000 + "' #",
        'A="' + "x" * 500_000,
        'A="' + '\\"' * 250_000 + "x",
        "A=" + "# " * 250_000,
        "A=1\n" * 125_000,
    ],
)
def test_the_time_that_it_takes_grows_with_the_text_alone(text: str) -> None:
    begun = time.process_time()
    with contextlib.suppress(PikuError):
        dotenv.parse(text, "ENV", {})
    assert time.process_time() - begun < 10  # 0.1 to 1.5 s; with the square of it, hours


def test_more_than_any_program_can_be_given_is_refused() -> None:
    with pytest.raises(PikuError, match="ENV has more than 1 MB"):
        dotenv.parse("A=1\n" * 300_000, "ENV")
