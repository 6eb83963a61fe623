"""config:push and config:pull: what a .env file says, and what an app has."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku import dotenv
from piku.client import config
from tests.client.laptop import ALIAS, Laptop
from tests.e2e.support import App, refused
from tests.e2e.terminal import Terminal

FILE = """\
# What the app needs
PLAIN=value with spaces   # a remark
export EXPORTED=yes
EMPTY=
SINGLE='$HOME "and" # all'
DOUBLE="$NOT_EXPANDED, a \\ and  two spaces"  # a remark
URL=postgres://u:p@host/db?x=1#part
KEY="one
two"
LAST = spaced
"""
GIVEN = {
    "PLAIN": "value with spaces",
    "EXPORTED": "yes",
    "EMPTY": "",
    "SINGLE": '$HOME "and" # all',
    "DOUBLE": "$NOT_EXPANDED, a \\ and  two spaces",
    "URL": "postgres://u:p@host/db?x=1#part",
    "KEY": "one\ntwo",
    "LAST": "spaced",
}


names = st.from_regex(r"X_[A-Z0-9_]{0,8}", fullmatch=True)
values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


@given(st.dictionaries(names, values, max_size=4), st.dictionaries(names, values, max_size=4))
def test_what_is_written_is_read_back(before: dict[str, str], after: dict[str, str]) -> None:
    text = config.updated("# kept\n", ".env", before)
    assert dotenv.parse(text, ".env") == before
    new = config.updated(text, ".env", after)
    assert dotenv.parse(new, ".env") == before | after
    assert new.startswith("# kept\n")


@pytest.fixture(scope="module")
def kept(new_app: Callable[..., App], laptop: Laptop) -> tuple[App, Path]:
    return new_app("pantry"), laptop.checkout("pantry", f"{ALIAS}:pantry")


def test_push_and_pull(laptop: Laptop, kept: tuple[App, Path]) -> None:
    app, folder = kept
    app.does("config:set", "STAYS=here", "EXPORTED=no", "LAST=spaced")
    releases = len(app.releases())
    (folder / ".env").write_bytes(FILE.replace("\n", "\r\n").encode("utf-8-sig"))
    refused(laptop.piku(folder, "config:push"), 2, "--yes", "nothing was changed")
    assert len(app.releases()) == releases
    said = laptop.says(folder, "config:push", "--yes")
    lines = [line.split() for line in said.splitlines()]
    names = ("PLAIN", "EXPORTED", "EMPTY", "SINGLE", "DOUBLE", "URL", "KEY")
    expected = [["changed" if name == "EXPORTED" else "new", name] for name in names]
    assert [line for line in lines if line[0] in ("new", "changed")] == expected
    for value in ("postgres", "two spaces", "value with"):
        assert value not in said
    assert len(app.releases()) == releases + 1, "one release for all of them"
    for key, value in {**GIVEN, "STAYS": "here"}.items():
        assert app.does("config:get", key) == f"{value}\n"
    assert "Nothing to change" in laptop.says(folder, "config:push")

    laptop.says(folder, "config:pull", "new.env")
    pulled = folder / "new.env"
    assert pulled.read_text().startswith("STAYS=here\n")
    assert dotenv.parse(pulled.read_text(), "new.env") == {**GIVEN, "STAYS": "here"}
    assert stat.S_IMODE(pulled.stat().st_mode) == 0o600
    # What is there stays, comments too; what differs is written anew, after a question.
    pulled.write_text("# mine\nLOCAL=1\n  export PLAIN=other # a remark\n")
    refused(laptop.piku(folder, "config:pull", "new.env"), 2, "--yes")
    assert "PLAIN=other" in pulled.read_text()
    laptop.says(folder, "config:pull", "new.env", "--yes")
    assert pulled.read_text().startswith("# mine\nLOCAL=1\n  PLAIN=value with spaces\n")
    assert dotenv.parse(pulled.read_text(), "new.env") == {**GIVEN, "STAYS": "here", "LOCAL": "1"}


def test_a_push_that_cannot_be(laptop: Laptop, kept: tuple[App, Path]) -> None:
    app, folder = kept
    before = app.does("config")
    refused(laptop.piku(folder, "config:push", "none.env"), 1, "no file none.env")
    (folder / "refused.env").write_text("GOOD=1\nUWSGI_PROCESSES=many\n")
    result = laptop.piku(folder, "config:push", "-y", "refused.env")
    assert result.returncode == 1 and "UWSGI_PROCESSES" in result.stderr
    assert app.does("config") == before
    # Far more than a command line holds.
    (folder / "large.env").write_text("".join(f"LARGE_{n}={'x' * 30000}\n" for n in range(10)))
    laptop.says(folder, "config:push", "-y", "--no-restart", "large.env")
    assert app.does("config:get", "LARGE_9") == f"{'x' * 30000}\n"


def test_a_value_that_nobody_sees(laptop: Laptop, kept: tuple[App, Path]) -> None:
    app, folder = kept
    pem = "-----BEGIN KEY-----\nMII=\n-----END KEY-----"
    for text, value in ((f"{pem}\n", pem), ("a=b \r\n", "a=b "), ("\n", "")):
        laptop.says(folder, "config:set", "--no-restart", "TOKEN", input=text)
        assert app.does("config:get", "TOKEN") == f"{value}\n"
    refused(laptop.piku(folder, "config:set", "TOKEN", input=""), 2, "KEY=VALUE")
    refused(laptop.piku(folder, "config:set", "PORT", input="99999"), 1, "PORT=99999")
    words = [*laptop.program, "config:set", "--no-restart", "TOKEN"]
    with Terminal(laptop.server, program=words, env=laptop.env, cwd=folder) as terminal:
        terminal.wait_for(r"not shown\): ")  # what is typed before the space is dropped
        terminal.types("typed in\n")
        code, shown = terminal.ends()
    assert code == 0 and "typed in" not in shown
    assert app.does("config:get", "TOKEN") == "typed in\n"


def test_settings_from_standard_input(laptop: Laptop, kept: tuple[App, Path]) -> None:
    app, folder = kept
    laptop.says(folder, "config:set", "-", input="FIRST=a b\nSECOND=$x='y'\n")
    assert app.does("config:get", "SECOND") == "$x='y'\n"
    refused(laptop.piku(folder, "config:set", "-", input="nonsense\n"), 1, "line 1", "NAME=value")
    assert "Nothing to change" in laptop.says(folder, "config:set", "-", input="")


def test_before_the_first_push(laptop: Laptop) -> None:
    folder = laptop.checkout("unborn", f"{ALIAS}:unborn")
    (folder / ".env").write_text("A=1\n")
    laptop.says(folder, "config:push", "--yes")
    assert laptop.says(folder, "config:get", "A") == "1\n"
