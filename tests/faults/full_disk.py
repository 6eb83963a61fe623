"""Run by test_full_disk.py, where the folder for temporary files is a disk of its own: here it is full."""

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sandbox import Completed, Sandbox, free_ports

from piku.deploy.deployment import STEPS
from tests.faults.killed import at_moment, check_sane
from tests.faults.support import App, Watch, new_app, said, succeeded

DISK = Path(tempfile.gettempdir())
FILLER = DISK / "filler"
# All bytes, or all files: the shell runs out of either, and that is fine.
FULL = {
    "bytes": f"head -c 1G /dev/zero >{FILLER}/all 2>/dev/null; true",
    "inodes": f"n=0; (while :>{FILLER}/$n; do n=$((n + 1)); done) 2>/dev/null; true",
}
WEB = "web: exec python3 server.py\n"
SAYS = re.compile("No space left on device|Out of diskspace")  # the kernel's words, or git's


@contextmanager
def room_again() -> Iterator[None]:
    FILLER.mkdir(exist_ok=True)
    try:
        yield
    finally:
        for path in FILLER.iterdir():
            path.unlink()


def fill(kind: str = "bytes") -> None:
    assert os.system(FULL[kind]) == 0  # noqa: S605 (the same shell command as at a moment)


def check_refused(result: Completed) -> None:
    text = said(result) + result.stderr
    assert result.returncode == 1, text
    assert SAYS.search(text), text
    assert "Traceback" not in text and "piku itself failed" not in text, text


@pytest.fixture(scope="module")
def app(server: Sandbox) -> App:
    procfile = f"{WEB}worker: exec sleep 1000\npreflight: true\nrelease: true\n"
    return new_app(server, "full", "web", Procfile=procfile)


@pytest.mark.parametrize("step", STEPS)
def test_a_deploy(app: App, step: str) -> None:
    """It may fail, or have what it needs by then: one of the two releases is live, and whole."""
    old = app.body()
    app.offer()
    with Watch(app, old, app.version), room_again():
        result = at_moment(app, step, FULL["bytes"], "deploy", app.name, log=Path(os.devnull))
        assert (FILLER / "all").exists(), f"{step} was never begun"
        if result.returncode:
            check_refused(result)
            assert app.body() == old
        else:
            assert app.body() == app.version
    app.deploy()
    check_sane(app, app.version)


@pytest.mark.parametrize("kind", FULL)
def test_the_old_release_comes_back(server: Sandbox, kind: str) -> None:
    """It was stopped for one that cannot run beside it; it needs no room to be started again."""
    app = new_app(server, f"fixed-{kind}", "web", f"PORT={free_ports(1)[0]}\n")
    old = app.version
    app.offer({"Procfile": f"web: {shlex.join(['sh', '-c', FULL[kind]])}; exit 1\n"})
    with room_again():
        result = server.piku("deploy", app.name)
        assert result.returncode == 1
        server.wait(lambda: app.body() == old)
    app.deploy({"Procfile": WEB})
    check_sane(app, app.version)


def test_a_push(app: App) -> None:
    old = app.version
    app.commit()
    with Watch(app, old), room_again():
        fill()
        result = app.server.push(app.repository, app.name)
        assert result.returncode and SAYS.search(said(result)), said(result)
    succeeded(app.server.push(app.repository, app.name))
    assert app.body() == app.version


COMMANDS: dict[str, Callable[[App], list[str]]] = {
    "a setting": lambda app: ["config:set", app.name, "COLOUR=blue"],
    "another certificate": lambda app: [
        "config:set",
        app.name,
        f"NGINX_SERVER_NAME={app.host},b.localhost",
    ],
    "the number of processes": lambda app: ["ps:scale", app.name, "worker=2"],
    "a restart": lambda app: ["restart", app.name],
    "a key": lambda app: [
        "setup:ssh",
        f"{app.server.keygen(app.server.base / 'other')}.pub",
        "--name",
        "other",
    ],
}


@pytest.mark.parametrize("what", COMMANDS)
def test_a_command(app: App, what: str) -> None:
    command = COMMANDS[what](app)
    with Watch(app, app.version), room_again():
        fill()
        check_refused(app.server.piku(*command))
        assert "COLOUR" not in succeeded(app.server.piku("config", app.name))
        succeeded(app.server.piku("ps", app.name))
        succeeded(app.server.piku("logs", app.name, "--no-follow"))
    if what not in ("a setting", "a key"):  # others count on one name and one key
        succeeded(app.server.piku(*command))
    check_sane(app, app.version)


def test_an_app_is_destroyed(server: Sandbox) -> None:
    """Which makes room."""
    app = new_app(server, "gone", "web")
    with room_again():
        fill()
        succeeded(server.piku("destroy", app.name, "--force"))
    assert not (server.root / "repos" / app.name).exists()


@pytest.mark.parametrize("moment", ["1", "none", *STEPS])
def test_a_restore(app: App, moment: str) -> None:
    """There is the whole app, or nothing of it: at its first change, when all has arrived, at each
    step of its deploy."""
    file, root = DISK / "full.backup", app.server.root
    (root / "data" / app.name / "kept").write_text("kept")
    succeeded(app.server.piku("backup", app.name, str(file)))
    command = ["restore", str(file), "--as", "copy"]
    with room_again():
        result = at_moment(app, moment, FULL["bytes"], *command, log=Path(os.devnull))
        if result.returncode:
            check_refused(result)
            found = [path for path in root.glob("*/copy*") if "lock" not in path.name]
            assert not [*found, *root.glob("*/@restore*")], result.stdout + result.stderr
    if result.returncode:
        succeeded(app.server.piku(*command))
    copied = [row["process"] for row in App(app.server, "copy", app.repository).ps()]
    assert copied == [row["process"] for row in app.ps()]
    succeeded(app.server.piku("destroy", "copy", "--force"))
    shutil.rmtree(root / "data" / "copy")


def test_a_backup(app: App) -> None:
    """It is whole, or there is none."""
    file = DISK / "other.backup"
    with room_again():
        fill()
        check_refused(app.server.piku("backup", app.name, str(file)))
        check_refused(app.server.piku("backup:run", app.name))
    assert not list(DISK.glob("*other.backup*"))
    assert not list((app.server.root / "backups").glob("*/*.zst"))


def test_what_an_app_prints(server: Sandbox) -> None:
    """It goes on when its lines cannot be kept, and they are kept again when there is room."""
    talk = "import sys\nclass Talking(Handler):\n    def log_message(self, *_):\n        print(self.path, 'x' * 5000, flush=True)\n"
    app = new_app(server, "talks", "web")
    served = (app.repository / "server.py").read_text().splitlines(keepends=True)
    text = "".join(served[:-1]) + talk + served[-1].replace("Handler", "Talking")
    app.deploy({"server.py": text})
    with room_again():
        fill()
        for number in range(20):
            assert server.get(app.host, f"/full-{number}")[0] == 200
        assert succeeded(server.piku("logs", app.name, "--no-follow"))
    assert server.get(app.host, "/room")[0] == 200
    server.wait(lambda: "/room " in succeeded(server.piku("logs", app.name, "--no-follow")))
