"""nginx or the emperor is killed at each step of a deploy, and started again as its service would be."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sandbox import Sandbox, SandboxError

from piku.deploy.deployment import STEPS
from tests.faults.killed import at_moment, check_sane
from tests.faults.support import App, new_app, said

VICTIMS: dict[str, Callable[[Path], Path]] = {
    "nginx": lambda root: root / "nginx" / "nginx.pid",
    "emperor": lambda root: root / "uwsgi" / "emperor.pid",
}


@pytest.fixture(scope="module")
def app(server: Sandbox) -> App:
    procfile = (
        "web: exec python3 server.py\nworker: exec sleep 1000\npreflight: true\nrelease: true\n"
    )
    return new_app(server, "shaken", "web", "PIKU_DEPLOY_TIMEOUT=20\n", Procfile=procfile)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("victim", VICTIMS)
def test_killed_at(app: App, victim: str, step: str) -> None:
    server, old = app.server, app.version
    pid = int(VICTIMS[victim](server.root).read_text())
    app.offer()
    with ThreadPoolExecutor() as pool:
        kill = f"kill -{signal.SIGKILL} {pid}"
        deploy = pool.submit(at_moment, app, step, kill, "deploy", app.name)
        with pytest.raises(SandboxError, match="piku up is not running"):
            server.wait(lambda: not server.platform_pid(), timeout=120)
        assert server.stop_platform() == 1
        server.start_platform()
        result = deploy.result()
    text = said(result) + result.stderr
    assert result.returncode in (0, 1), text
    assert "Traceback" not in text and "piku itself failed" not in text, text
    serves = old if result.returncode and "is live, but" not in text else app.version
    server.wait(lambda: app.body() == serves, what=f"{serves} serves: {text}")
    check_sane(app, serves)
    app.deploy()
