"""An emperor that gives no answer is neither taken for one that runs nothing, nor for one that is gone."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.faults.support import App, Watch, new_app, said

SILENCE = 7  # seconds


@pytest.fixture(scope="module")
def server(base: Path) -> Iterator[Sandbox]:
    with Sandbox(Path(__file__).parents[2], base) as sandbox:
        yield sandbox
    assert not sandbox.leftovers


def hold(server: Sandbox, seconds: float = SILENCE) -> threading.Timer:
    """Stop the emperor for that long."""
    emperor = int((server.root / "uwsgi" / "emperor.pid").read_text())
    os.kill(emperor, signal.SIGSTOP)
    timer = threading.Timer(seconds, os.kill, (emperor, signal.SIGCONT))
    timer.start()
    return timer


def test_a_good_deploy_waits_and_goes_live(server: Sandbox) -> None:
    app = new_app(
        server, "patient", "web", Procfile="web: exec python3 server.py\nworker: sleep 99\n"
    )
    with Watch(app, app.version, f"v{app.number + 1}"):
        timer = hold(server)
        result = app.push()
        timer.join()
        assert result.returncode == 0, said(result)
    assert app.body() == app.version


def test_stopping_waits_until_what_runs_has_ended(server: Sandbox) -> None:
    note = "trap 'echo ended >>$DATA_ROOT/order; exit' TERM; echo began >>$DATA_ROOT/order; while :; do sleep 0.1; done"
    app = new_app(
        server, "strict", "web", Procfile=f"web: exec python3 server.py\nworker: {note}\n"
    )
    order = server.root / "data" / app.name / "order"
    timer = hold(server)
    result = server.piku("restart", app.name)
    timer.join()
    assert result.returncode == 0, result.stderr
    server.wait(lambda: len(order.read_text().split()) == 3)
    assert order.read_text().split() == ["began", "ended", "began"]


def test_ps_says_that_it_does_not_know(server: Sandbox) -> None:
    app: App = new_app(server, "asked", "web")
    timer = hold(server, 120)
    shown = server.piku("ps", app.name)
    timer.cancel()
    os.kill(int((server.root / "uwsgi" / "emperor.pid").read_text()), signal.SIGCONT)
    assert "unknown" in shown.stdout, shown.stdout + shown.stderr
