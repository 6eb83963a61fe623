"""Limits per app where piku has cgroups of its own, of version 2."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.e2e.support import App
from tests.limits.conftest import Hungry
from tests.limits.support import about, eat, group_of, is_back, left, limits, memory, told


@pytest.fixture(scope="module")
def neighbour(hungry: Hungry) -> App:
    return hungry("neighbour", "web")


@pytest.mark.parametrize("kind", ["wsgi", "web"])
def test_an_app_that_takes_too_much_memory_comes_back_at_once(
    hungry: Hungry, neighbour: App, kind: str
) -> None:
    app = hungry(f"memory-{kind}", kind, "PIKU_MEMORY_LIMIT=64M\n")
    other = about(neighbour)["pid"]
    assert eat(app, 20)
    assert 20 < memory(app) < 64 and "killed" not in limits(app)
    for _ in range(2):
        assert not eat(app, 100)
        is_back(app)
    assert memory(app) < 40 and "killed" in limits(app)
    assert told(app) == 2
    assert app.ps()[f"{kind}.1"]["restarts"] >= 2
    assert about(neighbour)["pid"] == other


@pytest.mark.parametrize("kind", ["wsgi", "web"])
def test_limits_hold_behind_walls(hungry: Hungry, kind: str) -> None:
    app = hungry(f"walled-{kind}", kind, "PIKU_MEMORY_LIMIT=64M\nPIKU_NPROC_LIMIT=40\n")
    app.does("config:set", "PIKU_SANDBOX=true")
    assert eat(app, 20)
    assert 20 < memory(app) < 64 and "killed" not in limits(app)
    assert 5 <= int(app.body("/threads/100")) < 40
    assert not eat(app, 100)
    is_back(app)
    assert told(app) == 1


def test_an_app_gets_no_more_processors_and_processes(hungry: Hungry, neighbour: App) -> None:
    app = hungry("busy", "web", "PIKU_CPU_LIMIT=20%\nPIKU_NPROC_LIMIT=20\n")
    assert int(app.body("/burn/300")) > 900
    assert 5 <= int(app.body("/threads/100")) < 20
    assert int(neighbour.body("/threads/100")) == 100
    shown = re.fullmatch(r"0\.2 processors, (\d+) of 20 processes and threads", limits(app))
    assert shown and 1 <= int(shown[1]) <= 20


def test_no_group_outlives_its_processes(hungry: Hungry, given: Path) -> None:
    app = hungry("gone", "wsgi", "PIKU_MEMORY_LIMIT=64M\nPIKU_CPU_LIMIT=1\nPIKU_NPROC_LIMIT=50\n")
    assert len(left(given, "gone")) == 1
    app.does("stop")
    assert left(given, "gone") == []
    app.does("restart")
    assert group_of(app) and len(left(given, "gone")) == 1
    assert app.server.piku("destroy", "gone", "--force").returncode == 0
    assert left(given, "gone") == []
