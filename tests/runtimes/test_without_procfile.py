"""The examples without their Procfiles; test_compatibility.py has what people start from."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.support import App
from tests.runtimes.conftest import NewApp

# Needs nothing but its own files: what a browser gets is the example's greeting.
EXAMPLES = {
    "go": "web: bin/hello", "rust": "web: target/debug/hello", "php": "php: public",
    "howto-fastapi": "web: uvicorn app:app --host $BIND_ADDRESS --port $PORT",
}  # fmt: skip


def running(app: App, line: str) -> None:
    said = app.deployed()
    assert any(f"No Procfile: running `{line}`" in each for each in said), said


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_without_its_procfile(
    new_app: NewApp, example: Callable[[str], Path], name: str
) -> None:
    app = new_app(f"no-procfile-{name}", example(name), push=False)
    unneeded = ("Procfile", "rust-toolchain.toml")
    for file in unneeded:
        (app.repository / file).unlink(missing_ok=True)
    app.commit("As people have it")
    running(app, EXAMPLES[name])
    assert app.status("/docs" if name == "howto-fastapi" else "/") == 200
