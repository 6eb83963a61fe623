"""Python with uv: the environment is what `uv sync` makes of pyproject.toml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from piku.app import settings
from piku.app.tree import Tree
from piku.runtimes import pyproject, python
from piku.runtimes.base import Context, Run, Runtime

_READ = (pyproject.NAME, "uv.lock", "uv.toml", ".python-version")


def installs_itself(tree: Tree) -> bool:
    """Whether the project is a package by uv's rules; then it is installed editable."""
    document = pyproject.read(tree)
    said = pyproject.table(document, "tool", "uv").get("package")
    return said if isinstance(said, bool) else "build-system" in document


def _bound_to_tree(tree: Tree) -> bool:
    document = pyproject.read(tree)
    own = pyproject.table(document, "tool", "uv")
    project = pyproject.table(document, "project")
    wanted = (own.get("sources"), project.get("dependencies"), project.get("optional-dependencies"))
    groups = document.get("dependency-groups")
    return (
        installs_itself(tree)
        or "workspace" in own
        or any(map(pyproject.has_path, (*wanted, groups)))
    )


def _key(context: Context) -> str:
    _wanted(context)
    return python.environment_key(context, _READ, bound=_bound_to_tree(context.tree), prefix="UV_")


def _wanted(context: Context) -> tuple[str, ...]:
    """How uv is told which Python: PYTHON_VERSION, or else its own .python-version file."""
    pinned = context.tree.read(".python-version").strip()
    if not pinned or settings.PYTHON_VERSION.name in context.settings:
        return ("--python", python.interpreter(settings.PYTHON_VERSION.read(context.settings)))
    if short := re.match(r"[23]\.\d+", pinned):
        python.interpreter(short[0], said=f".python-version says {pinned}")
    return ()


def _build(context: Context) -> Iterator[Run]:
    locked = ("--locked",) if "uv.lock" in context.tree.files else ()
    yield Run(
        argv=("uv", "sync", "--python-preference", "only-system", *_wanted(context), *locked),
        env={"UV_CACHE_DIR": str(context.cache / "uv"), "UV_NO_PROGRESS": "1", **_place(context)},
        say=python.BOUND if installs_itself(context.tree) else "",
    )


def _place(context: Context) -> Mapping[str, str]:
    return {"UV_PROJECT_ENVIRONMENT": str(context.environment)}


UV = Runtime(
    name="uv",
    title="Python (uv)",
    detect=lambda tree, _procfile: pyproject.NAME in tree.files,
    requires=(("python3",), ("uv",)),
    key=_key,
    build=_build,
    env=lambda context: {**python.DEFAULTS, **_place(context)},
)
