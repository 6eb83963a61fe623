"""Vassals by name, the folder that the emperor watches, and one that runs."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku import files
from piku.operate import server
from piku.paths import AppName, Paths
from piku.uwsgi import emperor
from piku.uwsgi.emperor import VassalName


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True),
    st.integers(1, 10**9),
    st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,40}", fullmatch=True),
    st.integers(1, 100),
)
def test_a_name_is_read_back_as_it_was_written(
    app: str, start: int, kind: str, instance: int
) -> None:
    name = VassalName(AppName(app), start, kind, instance)
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
        VassalName(AppName(app), start, "web", 1)
        for app in ("foo", "foobar", "foo.bar", "foo-bar", "foo.web.1", "foo.ini")
        for start in (1, 11)
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
    assert emperor.observe(paths) == {}
    assert not emperor.is_running(paths)
    emperor.wake(paths)
    begun = time.monotonic()
    assert emperor.wait_gone(paths, [VassalName(AppName("foo"), 1, "web", 1)], 30) == set()
    assert time.monotonic() - begun < 5


def test_a_stale_number_is_nobodys_emperor(paths: Paths) -> None:
    # A process that is there, but is no emperor: it must not be sent signals that end it.
    with subprocess.Popen(["sleep", "30"]) as other:
        (paths.uwsgi / "emperor.pid").write_text(f"{other.pid}\n")
        emperor.wake(paths)
        assert other.poll() is None
        other.terminate()
        assert other.wait() == -15


def test_no_answer_is_neither_running_nor_gone(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(emperor, "_ANSWER_TIMEOUT", 0.2)
    name = VassalName(AppName("shop"), 1, "worker", 1)
    (paths.available / f"{name}.ini").write_text(
        "[uwsgi]\nmaster = true\nprocesses = 0\nattach-daemon = exec sleep 60\n"
    )
    with subprocess.Popen(
        ["uwsgi", "--ini", str(paths.emperor_ini)], stdin=subprocess.DEVNULL
    ) as running:
        try:
            emperor.enable(paths, [name])
            looks = (emperor.observe(paths) or {} for _ in files.poll(time.monotonic() + 60))
            assert any(name in states for states in looks)
            running.send_signal(signal.SIGSTOP)
            assert emperor.observe(paths) is None
            assert emperor.is_running(paths)
            emperor.disable(paths, [name])
            assert emperor.wait_gone(paths, [name], 0.5) == {name}
            running.send_signal(signal.SIGCONT)
            assert emperor.wait_gone(paths, [name], 20) == set()
        finally:
            running.send_signal(signal.SIGCONT)
            running.send_signal(signal.SIGINT)
            running.wait(20)
    assert emperor.observe(paths) == {}


def test_it_survives_being_asked_while_vassals_fail(paths: Paths) -> None:
    server.setup(paths)
    names = [VassalName(AppName("broken"), 1, "worker", number) for number in range(1, 7)]
    for name in names:
        (paths.available / f"{name}.ini").write_text(
            "[uwsgi]\nstrict = true\nno-such-option = true\n"
        )
    with subprocess.Popen(
        ["uwsgi", "--ini", str(paths.emperor_ini)], stdin=subprocess.DEVNULL
    ) as running:
        try:
            up = (emperor.observe(paths) for _ in files.poll(time.monotonic() + 60))
            assert any(state is not None for state in up)
            emperor.enable(paths, names)
            until = time.monotonic() + 3

            def again(change: Callable[[], object]) -> None:
                while time.monotonic() < until and running.poll() is None:
                    change()

            with ThreadPoolExecutor(4) as several:
                ask = lambda: emperor.observe(paths)  # noqa: E731
                list(several.map(again, [ask, ask, *[lambda: emperor.wake(paths)] * 2]))
            assert running.poll() is None, paths.emperor_log.read_text()[-2000:]
        finally:
            running.send_signal(signal.SIGINT)
            running.wait(20)
