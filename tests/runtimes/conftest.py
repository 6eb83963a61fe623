"""The server of the runtimes' tests: real builds, by the tools and from the registries of this machine."""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import environment
import pytest
from sandbox import Sandbox

from tests.e2e.support import CHECKOUT, App

NewApp = Callable[..., App]

PATIENCE = 900  # seconds for one test: the first build of some runtimes downloads a lot
# A registry that stalls is asked again well before a command is given up, for which npm alone would
# wait five minutes; one that errs is asked more often than once or twice.
PATIENT = {
    "NPM_CONFIG_FETCH_TIMEOUT": "60000",
    "NPM_CONFIG_FETCH_RETRIES": "5",
    "NPM_CONFIG_FETCH_RETRY_MINTIMEOUT": "1000",
    "NPM_CONFIG_FETCH_RETRY_MAXTIMEOUT": "10000",
    "PIP_DEFAULT_TIMEOUT": "30",
    "PIP_RETRIES": "8",
    "UV_HTTP_RETRIES": "8",
}
# Go asks once: this is the same proxy by another name.
GOPROXY = "https://proxy.golang.org|https://proxy.golang.org/,direct"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(PATIENCE))


def started(*places: Path) -> Iterator[Sandbox]:
    """A server that reaches registries as this machine does, by its $PIKU_ROOT/ENV; whether its apps
    have walls (`make test-runtimes-inside`), through which they see these places."""
    # Not pytest's folder: the paths of unix sockets must be short.
    base = Path(tempfile.mkdtemp(prefix="r-"))
    server = Sandbox(CHECKOUT, base, path=[base / "bin"])
    try:
        with server:
            reach = environment.passed_on((*environment.REGISTRIES, "PIKU_SANDBOX"))
            reach |= PATIENT
            reach["PIKU_SANDBOX_PATHS"] = ",".join(map(str, (*places, server.client)))
            (server.root / "ENV").write_text(
                "".join(f"{name}='{text}'\n" for name, text in reach.items())
            )
            go = server.home / ".config" / "go" / "env"
            go.parent.mkdir(parents=True)
            go.write_text(f"GOPROXY={GOPROXY}\n")
            yield server
        assert not server.leftovers
    finally:
        _remove(base)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One server for all runtimes. Pytest's folder is where tests put what a build fetches."""
    yield from started(tmp_path_factory.getbasetemp().resolve())


def _remove(folder: Path) -> None:
    """Go's module cache has folders that are read-only."""
    for path in [
        folder,
        *(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()),
    ]:
        path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def new_app(server: Sandbox) -> NewApp:
    """Make a repository for an app from an example or from files, and push it unless `push` is off.

    Its host name is NAME.localhost, whatever the example's ENV says.
    """

    def make(name: str, files: Mapping[str, str] | Path, *, push: bool = True) -> App:
        app = App(server=server, name=name, repository=server.repository(name, files))
        env = app.repository / "ENV"
        lines = env.read_text().splitlines() if env.exists() else []
        kept = [line for line in lines if not line.startswith("NGINX_SERVER_NAME=")]
        app.commit(ENV="\n".join([*kept, f"NGINX_SERVER_NAME={app.host}", ""]))
        if push:
            app.deployed()
        return app

    return make


@pytest.fixture(scope="session")
def example() -> Callable[[str], Path]:
    """The folder of an example: example("node")."""
    return functools.partial(Path.__truediv__, CHECKOUT / "examples")


@pytest.fixture(scope="session")
def uv(server: Sandbox) -> Path:
    """uv, where `pipx install uv` would have put it."""
    prefix = server.home / ".local"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--prefix", str(prefix), "uv"],
        check=True,
        env=os.environ | PATIENT,
    )
    return prefix / "bin" / "uv"
