"""Vassals by name, and the folder that the emperor watches; no emperor runs here."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku.paths import AppName, Paths
from piku.serve import emperor
from piku.serve.emperor import VassalName


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True),
    st.integers(1, 10**9),
    st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,40}", fullmatch=True),
    st.integers(1, 100),
)
def test_a_name_is_read_back_as_it_was_written(app: str, activation: int, kind: str, instance: int) -> None:
    name = VassalName(AppName(app), activation, kind, instance)
    assert VassalName.parse(str(name)) == name
    assert VassalName.parse(f"{name}.ini") == name
    assert name.worker == f"{kind}.{instance}"


@pytest.mark.parametrize(
    "text",
    ["", "foo", "foo.ini", "foo@1", "foo@1.web", "foo@.web.1", "foo@x.web.1", "@1.web.1", ".foo@1.web.1",
     "foo@1.web.1.ini.tmp", "foo@1.web.1 ", "a/b@1.web.1", "foo@1@2.web.1", "foo@1.web.1.2", "foo@1.web.-1"],
)  # fmt: skip
def test_what_is_no_vassal_of_ours(text: str) -> None:
    assert VassalName.parse(text) is None


def test_apps_whose_names_begin_alike_are_told_apart(paths: Paths) -> None:
    names = [
        VassalName(AppName(app), activation, "web", 1)
        for app in ("foo", "foobar", "foo.bar", "foo-bar", "foo.web.1", "foo.ini")
        for activation in (1, 11)
    ]
    for name in names:
        (paths.available / f"{name}.ini").write_text("")
    emperor.enable(paths, names)
    assert emperor.enabled(paths) == sorted(names)
    assert emperor.enabled(paths, AppName("foo")) == sorted(n for n in names if n.app == "foo")
    emperor.disable(paths, emperor.enabled(paths, AppName("foo")))
    assert emperor.enabled(paths, AppName("foo")) == []
    assert emperor.enabled(paths) == sorted(n for n in names if n.app != "foo")
    emperor.disable(paths, [VassalName(AppName("foobar"), 2, "web", 1)])  # one that is not there
    assert len(emperor.enabled(paths, AppName("foobar"))) == 2


def test_other_peoples_files_are_not_vassals(paths: Paths) -> None:
    for name in ("notes.txt", "foo@1.web.1", ".foo@1.web.1.ini", "mine.ini"):
        (paths.enabled / name).write_text("")
    assert emperor.enabled(paths) == []


def test_without_an_emperor_nothing_runs_and_nobody_waits(paths: Paths) -> None:
    assert emperor.statistics(paths) is None
    assert not emperor.is_running(paths)
    emperor.wake(paths, forgive=True)
    begun = time.monotonic()
    assert emperor.wait_gone(paths, [VassalName(AppName("foo"), 1, "web", 1)], 30) == set()
    assert time.monotonic() - begun < 5


def test_a_stale_number_is_nobodys_emperor(paths: Paths) -> None:
    # A process that is there, but is no emperor: it must not be sent signals that end it.
    import subprocess

    with subprocess.Popen(["sleep", "30"]) as other:
        (paths.uwsgi / "emperor.pid").write_text(f"{other.pid}\n")
        emperor.wake(paths, forgive=True)
        assert other.poll() is None
        other.terminate()
        assert other.wait() == -15
