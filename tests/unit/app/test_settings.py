"""Settings: what people write, what is kept, and what is refused."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku import files
from piku.app import settings, variables
from piku.errors import PikuError

KEYS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,20}", fullmatch=True)
# Every string that the arguments of a program can be, other than those of more than one line.
VALUES = st.binary(max_size=60).map(os.fsdecode).filter(lambda text: not set(text) & set("\n\r\0"))


def accepted(values: dict[str, str]) -> dict[str, str]:
    kept = {}
    for key, value in values.items():
        try:
            variables.check_pair(key, value)
        except PikuError:
            continue
        kept[key] = value
    return kept


# --- config:set ----------------------------------------------------------------------------------


@given(st.dictionaries(KEYS, VALUES | st.text("$={}'\"# \\%@(é\u2028\x85\f\t;", max_size=20)))
def test_what_is_read_back_is_what_was_given(values: dict[str, str]) -> None:
    values = accepted(values)
    assert variables.parse_literal(variables.render_literal(values)) == values


@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_it_is_so_over_a_file(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]
) -> None:
    path = tmp_path_factory.mktemp("env") / "ENV"
    values = accepted(values)
    files.write(path, variables.render_literal(values))
    assert variables.parse_literal(files.read(path)) == values


@pytest.mark.parametrize(
    "value",
    ["", "$HOME", "${HOME}", "a=b==", "'q'", '"q"', "# no comment", " spaces", "é ü 日本", "a\tb", "\\n",
     "%d", "$(x)"],
)  # fmt: skip
def test_values_are_literal(value: str) -> None:
    variables.check_pair("X", value)
    assert variables.parse_literal(variables.render_literal({"X": value, "Y": "y"})) == {
        "X": value,
        "Y": "y",
    }


@pytest.mark.parametrize("key", ["", "1A", "A-B", "A B", "é", "A\n", "X" * 129, "A.B", "#A", "A="])
def test_names_that_are_none(key: str) -> None:
    with pytest.raises(PikuError, match="is not a setting's name") as error:
        variables.check_pair(key, "x")
    assert "DATABASE_URL" in error.value.hint


@pytest.mark.parametrize("key", ["PATH", "HOME", "APP", "VIRTUAL_ENV", "PIKU_RELEASE", "DATA_ROOT"])
def test_what_piku_gives_cannot_be_set(key: str) -> None:
    with pytest.raises(PikuError, match=f"{key} is given to the app by piku"):
        variables.check_pair(key, "x")


@pytest.mark.parametrize("key", ["LD_PRELOAD", "LD_LIBRARY_PATH"])
def test_the_loader_is_out_of_reach(key: str) -> None:
    with pytest.raises(PikuError, match=f"{key} cannot be set"):
        variables.check_pair(key, "x")


@pytest.mark.parametrize("value", ["a ", "100%(x)\t"])
def test_values_that_end_with_a_blank_are_refused(value: str) -> None:
    with pytest.raises(PikuError, match="the value of X ends with a blank"):
        variables.check_pair("X", value)


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "\n"])
def test_values_of_several_lines_are_refused_with_a_way_out(value: str) -> None:
    with pytest.raises(PikuError, match="more than one line") as error:
        variables.check_pair("X", value)
    assert "base64" in error.value.hint
    assert value not in error.value.message


def test_the_longest_value() -> None:
    variables.check_pair("X", "é" * (variables.MAX_VALUE // 2))
    with pytest.raises(PikuError, match="longer than 64 kB"):
        variables.check_pair("X", "é" * (variables.MAX_VALUE // 2) + "x")


# --- ENV files -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("# c\n\n  # d\nA=1\n", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("  A = x y \n", {"A": "x y"}),
        ("A=\n", {"A": ""}),
        ("A=b=c\n", {"A": "b=c"}),
        ("A=x # y\n", {"A": "x # y"}),
        ("A=1\nB=$A\nC=${A}2\n", {"A": "1", "B": "1", "C": "12"}),
        ("B=$A\nA=1\n", {"B": "$A", "A": "1"}),
        ("A=$LOW\n", {"A": "low"}),
        ("LOW=$LOW/more\n", {"LOW": "low/more"}),
        ("A=$RAW\n", {"A": "$LOW"}),
        ("A=$NONE ${NONE} $ $1 $(x) ${\n", {"A": "$NONE ${NONE} $ $1 $(x) ${"}),
        ("A='$LOW'\n", {"A": "$LOW"}),
        ('A=" $LOW x"\n', {"A": " low x"}),
        ("A='\n", {"A": "'"}),
        ("A='a\"\n", {"A": "'a\""}),
        ("A=it's\n", {"A": "it's"}),
        ("A=1\nA=2\n", {"A": "2"}),
        ("A=é\u2028b\x85c\fd\n", {"A": "é\u2028b\x85c\fd"}),
    ],
)
def test_files_that_people_write(text: str, values: dict[str, str]) -> None:
    assert variables.parse_file(text, {"LOW": "low", "RAW": "$LOW"}) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A=1\nnonsense\n", "ENV line 2: 'nonsense' is not of the form NAME=value"),
        ("\n\nexport A=1\n", "ENV line 3: 'export A' is not a setting's name"),
        ("=x\n", "ENV line 1: '' is not a setting's name"),
        ("A=1\nPATH=/x\n", "ENV line 2: PATH is given to the app by piku and cannot be set"),
        ("A=a\0b\n", "ENV line 1: the value of A has more than one line"),
        ("# \f\x85\u2028\nB\n", "ENV line 2: 'B' is not of the form NAME=value"),
    ],
)
def test_a_bad_line_is_named(text: str, message: str) -> None:
    with pytest.raises(PikuError) as error:
        variables.parse_file(text, {})
    assert error.value.message == message


def test_another_file_is_called_by_its_own_name() -> None:
    with pytest.raises(PikuError, match=r"^/srv/ENV line 1: "):
        variables.parse_file("x", {}, source="/srv/ENV")


def test_what_grows_by_expansion_is_measured_when_it_has() -> None:
    with pytest.raises(PikuError, match="ENV line 3: the value of C is longer than 64 kB"):
        variables.parse_file(f"A={'x' * 60000}\nB=y\nC=$A$A\n", {})


# --- the table -----------------------------------------------------------------------------------


def test_every_default_passes_its_own_check() -> None:
    for setting in settings.table().values():
        setting.read({})
        setting.read({setting.name: "  "})


def test_a_bad_value_is_told_with_its_setting_and_what_it_means() -> None:
    with pytest.raises(PikuError) as error:
        settings.check_all({"A": "1", "PIKU_DEPLOY_TIMEOUT": "soon"})
    assert error.value.message == "PIKU_DEPLOY_TIMEOUT=soon: not a whole number from 1 to 3600"
    assert error.value.hint == settings.DEPLOY_TIMEOUT.doc


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("NGINX_SERVERNAME", "did you mean NGINX_SERVER_NAME?"),
        ("PIKU_PERSISTS", "did you mean PIKU_PERSIST?"),
        ("UWSGI_THREAD", "did you mean UWSGI_THREADS?"),
        ("UWSGI_ZZZZZZZ", "docs/settings.md lists all settings"),
    ],
)
def test_an_unknown_setting_of_ours_is_refused(name: str, hint: str) -> None:
    with pytest.raises(
        PikuError, match=f"{name} is not a setting of this version of piku"
    ) as error:
        settings.check_all({name: "1"})
    assert error.value.hint == hint


def test_everybody_elses_names_are_free() -> None:
    settings.check_all(
        {"DATABASE_URL": "x", "MY_PIKU_X": "1", "PIKU": "1", "PIKU_RELEASE": "3", "NODE_ENV": "x"}
    )


def test_what_is_read_before_any_commit_cannot_stand_in_one() -> None:
    with pytest.raises(
        PikuError, match="PIKU_DEPLOY_BRANCH cannot be set in the repository"
    ) as error:
        settings.refuse_in_repository({"PIKU_DEPLOY_BRANCH": "main"})
    assert "config:set" in error.value.hint
    settings.refuse_in_repository({"PIKU_KEEP_RELEASES": "3", "A": "1"})
