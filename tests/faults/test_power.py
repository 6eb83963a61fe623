"""The power goes: everything of the server ends at once, and starts again later."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.faults.killed import Session, at_moment, check_sane, kill, moments
from tests.faults.support import App, new_app, succeeded


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


# --- what the disk has ----------------------------------------------------------------------------------

# Other files follow from these: starting the platform writes them anew (deploy.recovery.recover_all).
STATE = (
    "releases/APP/live.json",
    "releases/APP/v*.json",
    "releases/APP/v*.built",
    "releases/APP/starts/**",
    "envs/APP/ENV",
    "uwsgi-available/APP@*",
    "uwsgi/starts",
)


class Disk:
    """What of a server's state the disk may not have yet: written, renamed, and not flushed since."""

    def __init__(self, app: App) -> None:
        self.root = app.server.root
        self.patterns = [f"{self.root}/{pattern.replace('APP', app.name)}" for pattern in STATE]
        self.unsafe: set[Path] = set()
        self._from = Path()

    def see(self, event: str, path: Path) -> None:
        if event == "fsync":
            self.unsafe -= {path}
        elif event == "subprocess.Popen" and str(path).startswith("sync --file-system"):
            self.unsafe.clear()
        elif event == "open":
            self.unsafe |= {path, path.parent}
        elif event == "renamed":
            self._from = path
        elif event == "os.rename":
            moved = {path, path.parent} if self._from in self.unsafe else {path.parent}
            removed = path.suffix == ".tmp"  # the first step of removing it
            self.unsafe = self.unsafe - {self._from, path} | (set() if removed else moved)

    def state(self) -> list[Path]:
        """Of that, the state, and the folders that have it."""
        known = {path for path in self.unsafe if self._is_state(path)}
        return sorted(known | {path.parent for path in known} & self.unsafe)

    def _is_state(self, path: Path) -> bool:
        return any(fits(path, pattern) for pattern in self.patterns)


def fits(path: Path, pattern: str) -> bool:
    if pattern.endswith("/**"):
        return path.is_relative_to(pattern.removesuffix("/**"))
    return path.match(pattern) and not path.name.startswith(".")


@pytest.fixture(scope="module")
def durable(server: Sandbox) -> App:
    jobs = "worker: exec sleep 1000\ncron-rare: @yearly true\nrelease: true\n"
    return new_app(
        server, "durable", "wsgi", "UWSGI_IDLE=3600\n", Procfile=f"wsgi: app:app\n{jobs}"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["deploy"],
        ["config:set", "COLOUR=blue"],
        ["ps:scale", "wsgi=2"],
        ["rollback", "v1"],
        ["stop"],
    ],
    ids=" ".join,
)
def test_the_disk_has_all_that_is_live(durable: App, words: list[str]) -> None:
    """A file system may keep a rename and lose what is renamed, so content is flushed first (fsync(2)): all
    that a release needs before it goes live, and that it is live before the command ends."""
    command, *more = words
    durable.offer()
    succeeded(at_moment(durable, "", "", command, durable.name, *more))
    disk, live = Disk(durable), durable.releases_folder / "live.json"
    committed = 0
    for _, event, text in moments(durable):
        if (event, text) == ("os.rename", str(live)):
            assert disk.state() == []
            committed += 1
        disk.see(event, Path(text))
    assert committed == 1
    assert disk.state() == []
