"""A server that was given cgroups, as a service is: for tests that delegated.py runs."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from sandbox import Sandbox

from piku.extras.limits import cgroups
from tests.e2e.support import APPS, CHECKOUT, App

HUNGRY = (APPS / "hungry.py").read_text()
COMMANDS = {"wsgi": "hungry:app", "web": "exec python3 -IS hungry.py"}
# The shell goes there itself, and becomes the platform.
ENTER = 'until [ "$1" = -- ]; do echo 0 >"$1/cgroup.procs" || exit; shift; done; shift; exec "$@"'
_numbers = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Groups:
    """The groups that we were given, by controller."""

    folders: Mapping[str, Path]
    unified: bool

    @classmethod
    def ours(cls) -> Groups:
        own, mounts = (Path("/proc/self", name).read_text() for name in ("cgroup", "mountinfo"))
        places = cgroups.located(own, mounts)
        unified = "memory" not in places
        found = {name: places["" if unified else name].parent for name in cgroups.CONTROLLERS}
        if not all(place.name.startswith("piku-test-") for place in found.values()):
            pytest.exit("run these with: make test-limits", returncode=2)
        return cls(folders=found, unified=unified)

    def new(self, controllers: Sequence[str] = cgroups.CONTROLLERS) -> list[Path]:
        """New groups that have these controllers and nobody in them."""
        name = f"server-{next(_numbers)}"
        if not self.unified:
            made = [self.folders[controller] / name for controller in controllers]
        elif set(controllers) == set(cgroups.CONTROLLERS):
            made = [self.folders["memory"] / name]
        else:
            outer = self.folders["memory"] / f"{name}-outer"
            outer.mkdir()
            (outer / "cgroup.subtree_control").write_text(
                " ".join(f"+{each}" for each in controllers)
            )
            made = [outer / name]
        for folder in made:
            folder.mkdir()
        return made


@contextlib.contextmanager
def started(given: Sequence[Path]) -> Iterator[Sandbox]:
    """A server whose platform is started in these groups."""
    base = Path(tempfile.mkdtemp(prefix="limits-"))
    prefix = ["sh", "-c", ENTER, "sh", *map(str, given), "--"]
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
def given(groups: Groups) -> list[Path]:
    """What the shared server was given."""
    return groups.new()


@pytest.fixture(scope="session")
def server(given: list[Path]) -> Iterator[Sandbox]:
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
