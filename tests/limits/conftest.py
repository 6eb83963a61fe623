"""A server that was given cgroups, as a service is: for tests that delegated.py runs."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sandbox import Sandbox

from piku.extras.limits import cgroups
from tests.e2e.support import APPS, CHECKOUT, App

HUNGRY = (APPS / "hungry.py").read_text()
COMMANDS = {"wsgi": "hungry:app", "web": "exec python3 -IS hungry.py"}
# The shell goes there itself, and becomes the platform.
ENTER = 'echo 0 >"$1/cgroup.procs" || exit; shift; exec "$@"'
_numbers = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The group that the tests were given."""

    folder: Path

    @classmethod
    def ours(cls) -> Groups:
        own, mounts = (Path("/proc/self", name).read_text() for name in ("cgroup", "mountinfo"))
        found = cgroups.located(own, mounts)
        if found is None or not found.parent.name.startswith("piku-test-"):
            pytest.exit("run these with: make test-limits", returncode=2)
        return cls(folder=found.parent)

    def new(self) -> Path:
        """A new group that has nobody in it."""
        folder = self.folder / f"server-{next(_numbers)}"
        folder.mkdir()
        return folder


@contextlib.contextmanager
def started(given: Path) -> Iterator[Sandbox]:
    """A server whose platform is started in this group."""
    base = Path(tempfile.mkdtemp(prefix="limits-"))
    prefix = ["sh", "-c", ENTER, "sh", str(given)]
    server = Sandbox(CHECKOUT, base, prefix=prefix)
    try:
        with server:
            yield server
        assert not server.leftovers
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def groups() -> Groups:
    return Groups.ours()


@pytest.fixture(scope="session")
def given(groups: Groups) -> Path:
    """What the shared server was given."""
    return groups.new()


@pytest.fixture(scope="session")
def server(given: Path) -> Iterator[Sandbox]:
    with started(given) as server:
        yield server


Hungry = Callable[..., App]


@pytest.fixture(scope="session")
def hungry(server: Sandbox) -> Hungry:
    """Make an app that takes what it is told to, and push it."""

    def make(
        name: str,
        kind: str,
        env: str = "",
        procfile: str = "",
        *,
        on: Sandbox = server,
        **files: str,
    ) -> App:
        named = {file.replace("_", "."): text for file, text in files.items()}
        repository = on.repository(
            name,
            {
                "Procfile": f"{kind}: {COMMANDS[kind]}\n{procfile}",
                "hungry.py": HUNGRY,
                "ENV": f"NGINX_SERVER_NAME={name}.localhost\n{env}",
                **named,
            },
        )
        app = App(server=on, name=name, repository=repository)
        app.deployed()
        return app

    return make
