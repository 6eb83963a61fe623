"""Damage stays where it is: whatever becomes of one app's files, the others are served, restarted and
pushed. tests/extras/test_damaged_files.py damages every file."""

from collections.abc import Iterator

import pytest
from sandbox import Sandbox

from tests.faults.damage import damaged, prepare
from tests.faults.support import App


@pytest.fixture(scope="module")
def apps(server: Sandbox) -> Iterator[tuple[App, App]]:
    yield prepare(server)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("envs/victim", "mode 000"),
        ("envs/victim/LIVE_ENV", "folder"),
        ("logs/victim", "mode 000"),
        ("releases/victim/live.json", "cut off"),
    ],
)
def test_the_others_go_on(server: Sandbox, apps: tuple[App, App], name: str, damage: str) -> None:
    bystander, _ = apps
    server.platform_log.write_text("")
    with damaged(server.root / name, damage, server.base / "kept"):
        server.start_platform()
        try:
            server.wait(lambda: bystander.body() == bystander.version)  # its processes start now
            log = server.platform_log.read_text()
            assert "piku itself failed" not in log
            assert f"{server.root}/{name}" in log or damage == "folder", log  # written anew
            assert server.piku("restart", "bystander").returncode == 0
            bystander.deploy()
            for command in ("ps", "status", "apps"):
                assert server.piku(command).returncode == 0
        finally:
            server.stop_platform()
    assert not (server.root / "uwsgi" / "fault.log").exists()
