"""The power goes: everything of the server ends at once, and starts again later."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sandbox import Sandbox

from tests.faults.killed import Session, check_sane, kill
from tests.faults.support import App, new_app


def power_cut(server: Sandbox, app: App) -> None:
    kill(Session(app).all())
    server.kill_platform()
    server.start_platform()


@pytest.mark.parametrize("step", ["start", "switch"])
def test_in_the_middle_of_a_deploy(server: Sandbox, step: str) -> None:
    app = new_app(server, f"power-{step}", "web", "START_DELAY=8\n")
    old = app.version
    app.commit()
    with ThreadPoolExecutor() as pool:
        if step == "switch":
            # A slow request keeps the old process while the switch comes to its end.
            pool.submit(server.get, app.host, "/slow?60")
        push = pool.submit(server.push, app.repository, app.name)
        server.wait(lambda: (app.newest()["number"], app.newest()["step"]) == (2, step), 30)
        power_cut(server, app)
        # A push that is cut off in the switch may have come to its end: then it is live.
        assert push.result().returncode != 0 or step == "switch"
    server.wait(
        lambda: app.body() in (old, app.version),
        timeout=30,
        what="it answers when the power is back",
    )
    if step == "start":
        assert app.body() == old
    check_sane(app, old, app.version)
    app.deploy()


def test_the_platform_alone_ends(server: Sandbox) -> None:
    """nginx and the emperor die under a deploy: it fails and says so, and what was live is what returns."""
    app = new_app(server, "alone", "web", "START_DELAY=3\n")
    old = app.version
    app.commit()
    with ThreadPoolExecutor() as pool:
        push = pool.submit(server.push, app.repository, app.name)
        server.wait(lambda: (app.newest()["number"], app.newest()["step"]) == (2, "start"))
        server.kill_platform()
        result = push.result()
    assert result.returncode == 1, result.stdout
    server.start_platform()
    server.wait(lambda: app.body() == old, timeout=30, what="it answers when the platform is back")
    check_sane(app, old)
    app.deploy()
