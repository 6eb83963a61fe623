"""Sleep and waking where they meet each other; no emperor runs here."""

from __future__ import annotations

import io
import socket
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from piku.deploy import instances, reconcile, releases, switch
from piku.deploy.releases import Live
from piku.errors import PikuError
from piku.extras.idle import sleeping, waker
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor

MakeJob = Callable[..., Job]
WEB = {"Procfile": "web: serve\n"}
WSGI = {"Procfile": "wsgi: app:app\n"}
SETTINGS = {"NGINX_SERVER_NAME": "shop.example", "UWSGI_IDLE": "5"}
LATER = 1e12


@pytest.fixture
def live(paths: Paths, shop: AppPaths, job: MakeJob) -> Live:
    made = job(shop, WEB, **SETTINGS)
    new = instances.create(made)
    releases.commit(shop, new)
    reconcile.reconcile(paths, shop)
    return new


def test_one_that_is_woken_while_it_dozes_off_runs_on(
    paths: Paths, shop: AppPaths, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    disable = emperor.disable

    def woken_in_between(*args: object) -> None:
        (shop.activation(live.start) / "asleep").unlink()
        disable(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(emperor, "disable", woken_in_between)
    assert sleeping.doze(paths, shop, LATER) is None
    assert emperor.enabled(paths, shop.name) == live.vassals(shop.name)
    monkeypatch.undo()
    assert sleeping.doze(paths, shop, LATER) is not None
    assert emperor.enabled(paths, shop.name) == []


def test_waking_starts_only_what_sleeps(
    paths: Paths, shop: AppPaths, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sleeping, "_PATIENCE", 0.2)
    emperor.disable(
        paths, live.vassals(shop.name)
    )  # as a deploy does that stops the old release first
    with pytest.raises(PikuError, match="does not listen"):
        sleeping.wake(paths, shop)
    assert emperor.enabled(paths, shop.name) == []


def test_it_is_not_idle_as_long_as_somebody_waits(
    paths: Paths, shop: AppPaths, live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sleeping, "_PATIENCE", 0.3)
    assert sleeping.doze(paths, shop, LATER)
    seen = []
    monkeypatch.setattr(
        sleeping.health, "accepts", lambda _: bool(seen.append(sleeping.last_request(shop, live)))
    )
    with pytest.raises(PikuError, match="does not listen"):
        sleeping.wake(paths, shop)
    assert len(set(seen)) > 3
    assert emperor.enabled(paths, shop.name) == live.vassals(shop.name)


def test_all_who_wait_are_answered_by_the_first(
    paths: Paths, shop: AppPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wake(*_: object) -> float:
        begun.set()
        assert go_on.wait(10)
        return 0.1

    monkeypatch.setattr(sleeping, "wake", wake)
    monkeypatch.setattr(waker, "_MOST", 2)
    monkeypatch.setenv("PIKU_ROOT", str(paths.root))
    said: list[str] = []

    def ask() -> None:
        waker.application({"PIKU_APP": "shop"}, lambda status, _: said.append(status))

    first = threading.Thread(target=ask)
    first.start()
    assert begun.wait(10)
    ends = []
    for _ in range(2):
        mine, its = socket.socketpair()
        monkeypatch.setitem(sys.modules, "uwsgi", SimpleNamespace(connection_fd=its.fileno))
        ask()
        its.close()  # as uWSGI does
        ends.append(mine)
    assert said == []
    ask()
    assert said == ["503 Service Unavailable"]  # there is an end to what can be kept
    go_on.set()
    first.join()
    assert said[1:] == ["200 OK"]
    for mine in ends:
        with mine, mine.makefile("rb") as file:
            assert file.read() == b"HTTP/1.1 200 OK\r\nX-Accel-Redirect: @piku-awake\r\n\r\n"


@pytest.mark.parametrize(
    ("files", "own", "warned"),
    [
        (WEB, {"UWSGI_IDLE": "5"}, "UWSGI_IDLE=5 does nothing"),
        (WSGI, {"UWSGI_IDLE": "5"}, "UWSGI_IDLE=5 does nothing"),
        (WSGI, {**SETTINGS, "UWSGI_LISTEN": "7"}, "UWSGI_LISTEN=7 does nothing"),
        (WEB, {**SETTINGS, "UWSGI_LISTEN": "7"}, ""),
        (WSGI, {"UWSGI_LISTEN": "7"}, ""),
        ({"Procfile": "worker: work\n"}, {"UWSGI_IDLE": "5"}, ""),
    ],
)
def test_a_setting_that_cannot_count_is_named(
    shop: AppPaths, job: MakeJob, files: dict[str, str], own: dict[str, str], warned: str
) -> None:
    made = job(shop, files, **own)
    said = io.StringIO()
    object.__setattr__(made, "output", Output(said))
    switch._warn_of_idle(made)
    assert warned in said.getvalue() and bool(warned) == bool(said.getvalue())
