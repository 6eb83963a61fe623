"""Promise 1, exhaustively: `piku deploy`, killed before every single change that it makes.

Too long for `make test`, which kills at the beginning of each step (test_killed.py): `make test-faults`.
"""

import signal
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial

import pytest
from sandbox import Sandbox

from tests.faults.killed import KILL, at_moment, check_sane, moments
from tests.faults.support import Watch, new_app, side_by_side

WORKER = "web: exec python3 server.py\nworker: exec sleep 1000\n"
# Which moments of which kind of app: the first, and every how many. What `web` has of its own is little.
LANES = [("wsgi", 1, 2), ("wsgi", 2, 2), ("web", 1, 3)]
NAMES = [f"{kind}-{first}" for kind, first, _ in LANES]


def before_every_change(server: Sandbox, kind: str, first: int, stride: int) -> None:
    procfile = {"Procfile": WORKER} if kind == "web" else {}
    app = new_app(server, f"{kind}-{first}", kind, **procfile)
    moment, killed = first, set[str]()
    while True:
        # One that was killed right after it went live serves when the next has put things right.
        known = dict.fromkeys((app.body(), app.version))
        app.offer()
        with Watch(app, *known, app.version):
            result = at_moment(app, moment, KILL, "deploy", app.name)
            done = moments(app)
            if result.returncode != -signal.SIGKILL:
                break
            killed.add(done[-1][0] if done else "")
            assert app.body() in (*known, app.version), done[-1:]
        moment += stride
    assert result.returncode == 0, result.stdout + result.stderr
    assert len(killed) >= 6, "of the steps of a deploy"
    check_sane(app, app.version)


@pytest.fixture(scope="module")
def outcomes(server: Sandbox) -> Iterator[dict[str, Future[None]]]:
    cases = zip(
        NAMES, NAMES, (partial(before_every_change, server, *lane) for lane in LANES), strict=True
    )
    with side_by_side(cases) as found:
        yield found


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_every_moment(outcomes: dict[str, Future[None]], name: str) -> None:
    outcomes[name].result(timeout=800)
