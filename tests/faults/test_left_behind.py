"""What apps and people leave behind keeps no command of anybody's from working."""

import os
import signal
from pathlib import Path

from sandbox import Sandbox

from piku import procfs
from tests.faults.support import new_app, said


def leave(place: Path) -> None:
    """What a plain removal stumbles over: closed folders, and a tree deeper than Python goes."""
    (place / "closed" / "inner").mkdir(parents=True)
    (place / "closed").chmod(0)
    handle = os.open(place, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("deep", dir_fd=handle)
        below = os.open("deep", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(handle)


def test_closed_and_deep_folders_are_removed(server: Sandbox) -> None:
    app, other = new_app(server, "left", "web"), new_app(server, "other", "web")
    assert server.piku("config:set", "left", "PIKU_KEEP_RELEASES=1").returncode == 0
    first = app.releases_folder / "v1"
    leave(first / "__pycache__")
    app.deploy()
    app.deploy()
    assert not first.exists()
    leave(server.root / "logs" / "left" / "own")
    leave(app.releases_folder / ".left.4194305.tmp")  # a removal that was killed
    assert server.piku("restart", "left").returncode == 0
    assert server.piku("restart", "other").returncode == 0
    gone = server.piku("destroy", "left", "--force")
    assert gone.returncode == 0 and "cannot be removed" not in gone.stdout, gone.stderr
    assert not [
        path for path in server.root.glob("*/*") if "left" in path.name and "data" not in str(path)
    ]
    assert other.body() == other.version


def test_commit_messages_do_not_reach_the_terminal(server: Sandbox) -> None:
    app = new_app(server, "loud", "web")
    app.number += 1
    message = "Red \x1b[31m, a title \x1b]0;owned\x07 and more"
    server.commit(app.repository, {"version": app.version}, message)
    result = server.push(app.repository, app.name)
    assert result.returncode == 0
    for text in (
        said(result),
        server.piku("releases", "loud").stdout,
        server.piku("status").stdout,
    ):
        assert "\x1b" not in text and "\x07" not in text
        assert r"Red \x1b[31m, a title \x1b]0;owned\x07" in text


def test_nginx_is_killed_and_comes_back(server: Sandbox) -> None:
    """Its workers keep the ports: they end when the platform starts."""
    app = new_app(server, "stays", "web")
    platform = server.platform_pid()
    master = int((server.root / "nginx" / "nginx.pid").read_text())
    workers = procfs.children(master)
    os.kill(master, signal.SIGKILL)
    server.wait(lambda: not procfs.is_running(platform))
    server.stop_platform()
    assert any(map(procfs.is_running, workers))
    server.start_platform()
    assert not any(map(procfs.is_running, workers))
    server.wait(lambda: app.body() == app.version)
