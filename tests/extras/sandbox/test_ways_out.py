"""Each way out of an app is tried, without walls and with them; docs/sandbox.md has the outcome."""

from __future__ import annotations

import pytest
from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import App
from tests.extras.sandbox import support

# Every app is reached over the network as before.
ALWAYS = {
    "connect to its port on the loopback address",
    "connect to its abstract unix socket",
}


@pytest.fixture(scope="module")
def targets(server: Sandbox, new_app: NewApp) -> str:
    return support.victims(server, new_app)


@pytest.fixture(scope="module")
def apart(new_app: NewApp, targets: str) -> App:
    return support.walled(new_app("apart", support.attacker("apart", targets), push=False))


@pytest.fixture(scope="module")
def without(new_app: NewApp, targets: str) -> set[str]:
    app = support.pushed(
        new_app("without", support.attacker("without", targets), push=False), "PIKU_SANDBOX=false"
    )
    return support.open_ways(app, "web")


def test_without_walls_every_way_is_open(without: set[str]) -> None:
    assert without
    print(sorted(without))


@pytest.mark.parametrize("kind", ["web", "worker"])
def test_processes(apart: App, kind: str) -> None:
    assert support.open_ways(apart, kind) == ALWAYS


def test_builds(apart: App) -> None:
    assert support.open_ways(apart, "release") == ALWAYS


def test_jobs(apart: App) -> None:
    apart.does("cron:run", "job")
    assert support.open_ways(apart, "cron") == ALWAYS


def test_commands(apart: App) -> None:
    apart.does("run", f"{support.TRY}/run.json")
    assert support.open_ways(apart, "run") == ALWAYS
    apart.server.piku("run", "--detach", apart.name, f"{support.TRY}/detached.json")
    assert support.open_ways(apart, "detached") == ALWAYS


def test_what_uwsgi_serves(new_app: NewApp, targets: str) -> None:
    files = support.served_attacker("inside", targets)
    app = support.walled(new_app("inside", files, push=False))
    assert app.body() == "one"
    assert support.open_ways(app, "wsgi") == ALWAYS
