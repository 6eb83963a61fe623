"""Each way out of an app is tried, without walls and with them: the table in docs/sandbox.md."""

from __future__ import annotations

import re

import pytest
from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import CHECKOUT, App
from tests.extras.sandbox import support

ROW = re.compile(r"\| ([^|]+) \| (yes|no) \| (yes|no) \|")
ELSEWHERE = {"have nginx show files by a link in what it serves"}  # test_nginx


def documented(column: int) -> set[str]:
    """The ways that are open by the table, without walls (2) or with them (3)."""
    found = map(ROW.fullmatch, (CHECKOUT / "docs" / "sandbox.md").read_text().splitlines())
    return {row[1] for row in found if row and row[column] == "yes"} - ELSEWHERE


@pytest.fixture(scope="module")
def targets(server: Sandbox, new_app: NewApp) -> str:
    return support.victims(server, new_app)


@pytest.fixture(scope="module")
def apart(new_app: NewApp, targets: str) -> App:
    return support.walled(new_app("apart", support.attacker("apart", targets), push=False))


def test_without_walls(new_app: NewApp, targets: str) -> None:
    app = new_app("without", support.attacker("without", targets), push=False)
    support.pushed(app, "PIKU_SANDBOX=false")
    assert support.open_ways(app, "web") == documented(2)


@pytest.mark.parametrize("kind", ["web", "worker", "release"])
def test_processes_and_builds(apart: App, kind: str) -> None:
    assert support.open_ways(apart, kind) == documented(3)


def test_jobs(apart: App) -> None:
    apart.does("cron:run", "job")
    assert support.open_ways(apart, "cron") == documented(3)


def test_commands(apart: App) -> None:
    apart.does("run", f"{support.TRY}/run.json")
    assert support.open_ways(apart, "run") == documented(3)
    apart.server.piku("run", "--detach", apart.name, f"{support.TRY}/detached.json")
    assert support.open_ways(apart, "detached") == documented(3)


def test_what_uwsgi_serves(new_app: NewApp, targets: str) -> None:
    files = support.served_attacker("inside", targets)
    app = support.walled(new_app("inside", files, push=False))
    assert app.body() == "one"
    assert support.open_ways(app, "wsgi") == documented(3)
