"""Python with Poetry: a virtualenv that `poetry install` fills."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from piku.app import settings
from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.runtimes import pyproject, python
from piku.runtimes.base import Context, Run, Runtime, linked

_READ = (pyproject.NAME, "poetry.lock", "poetry.toml")


def _detect(tree: Tree, _procfile: Procfile) -> bool:
    return pyproject.is_poetry(pyproject.read(tree))


def installs_itself(tree: Tree) -> bool:
    """Whether the project is a package by Poetry's rules: it is named, or a module has its name."""
    document = pyproject.read(tree)
    own = pyproject.table(document, "tool", "poetry")
    if own.get("package-mode") is False:
        return False
    if "packages" in own or "build" in own:
        return True
    name = str(own.get("name") or pyproject.table(document, "project").get("name") or "")
    module = re.sub(r"[-.]+", "_", name)
    places = tuple(f"{folder}{module}{end}" for folder in ("", "src/") for end in ("/", ".py"))
    return bool(module) and any(path.startswith(places) for path in tree.files)


def _bound_to_tree(tree: Tree) -> bool:
    document = pyproject.read(tree)
    wanted: list[Any] = [pyproject.table(document, "tool", "poetry"), document.get("project")]
    return installs_itself(tree) or any(
        pyproject.has_path(table.get(kind))
        for table in wanted
        if isinstance(table, dict)
        for kind in ("dependencies", "dev-dependencies", "optional-dependencies", "group")
    )


def _key(context: Context) -> str:
    return python.environment_key(
        context, _READ, bound=_bound_to_tree(context.tree), prefix="POETRY_"
    )


def _build(context: Context) -> Iterator[Run]:
    interpreter = python.interpreter(settings.PYTHON_VERSION.read(context.settings))
    yield python.virtualenv(context, interpreter)
    root = () if installs_itself(context.tree) else ("--no-root",)
    # A keyring asks for a desktop, which a server has not.
    own = {
        "POETRY_CACHE_DIR": str(context.cache / "poetry"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    yield Run(
        argv=("poetry", "install", "--no-interaction", "--no-ansi", *root),
        env=own,
        say="" if root else python.BOUND,
    )


def _env(_context: Context) -> Mapping[str, str]:
    return {**python.DEFAULTS, "POETRY_VIRTUALENVS_IN_PROJECT": "1"}


POETRY = Runtime(
    name="poetry",
    title="Python (Poetry)",
    detect=_detect,
    requires=(("python3",), ("virtualenv",), ("poetry",)),
    key=_key,
    build=_build,
    compile=lambda context: linked(context.checkout / ".venv", context.environment),
    env=_env,
)
