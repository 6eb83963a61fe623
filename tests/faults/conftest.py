"""A server for the tests of one module."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox


@pytest.fixture(scope="module")
def base() -> Iterator[Path]:
    """A folder with a short name: unix sockets will be in it."""
    folder = Path(tempfile.mkdtemp(prefix="f-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def server(base: Path) -> Iterator[Sandbox]:
    with Sandbox(Path(__file__).parents[2], base) as sandbox:
        yield sandbox
    assert not sandbox.leftovers
