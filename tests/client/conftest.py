"""A server as in the other end-to-end tests, and a laptop that knows it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.client import laptop as laptops
from tests.client.laptop import Laptop
from tests.e2e.conftest import new_app, own_server, server
from tests.e2e.support import WORKER, App, web

__all__ = ["new_app", "own_server", "server"]


@pytest.fixture(scope="module")
def laptop(server: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    return laptops.make(server, tmp_path_factory.mktemp("laptop"))


@pytest.fixture(scope="module")
def shop(new_app: Callable[..., App], request: pytest.FixtureRequest) -> App:
    """An app with a worker and a job, that is live; each file of tests has a name of its own for it."""
    name = request.module.NAME
    jobs = 'worker: exec python3 -IS worker.py\ncron-tidy: @yearly eval "${TIDY:-true}"\n'
    return new_app(name, {**web(name, procfile=jobs), "worker.py": WORKER})


@pytest.fixture(scope="module")
def checkout(laptop: Laptop, shop: App) -> Path:
    """A checkout of that app, whose remote names the server by ssh's alias."""
    return laptop.checkout(shop.name, f"{laptops.ALIAS}:{shop.name}")
