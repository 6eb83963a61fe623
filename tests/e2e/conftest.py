"""A server for all tests of a file that only add apps to it, and one of its own for those that stop it."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.support import CHECKOUT, App, web

NewApp = Callable[..., App]


def started() -> Iterator[Sandbox]:
    # Not pytest's folder: the paths of unix sockets must be short.
    base = Path(tempfile.mkdtemp(prefix="e2e-"))
    server = Sandbox(CHECKOUT, base)
    try:
        with server:
            # git fetches submodules from folders only when told that this is meant.
            (server.home / ".gitconfig").write_text('[protocol "file"]\n\tallow = always\n')
            yield server
        assert not server.leftovers
        fault = server.root / "uwsgi" / "fault.log"
        assert not fault.exists(), fault.read_text()
    finally:
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """The server that the tests of a file share; each has app and host names of its own."""
    yield from started()


@pytest.fixture
def own_server() -> Iterator[Sandbox]:
    """A server that a test may stop and break."""
    yield from started()


def maker(server: Sandbox) -> NewApp:
    """What makes a repository for an app, by default a `web` one, and may push it."""

    def make(
        name: str,
        files: Mapping[str, str] | Path | None = None,
        *,
        push: bool = True,
        on: Sandbox = server,
    ) -> App:
        repository = on.repository(name, web(name) if files is None else files)
        app = App(server=on, name=name, repository=repository)
        if push:
            app.deployed()
        return app

    return make


@pytest.fixture(scope="module")
def new_app(server: Sandbox) -> NewApp:
    return maker(server)
