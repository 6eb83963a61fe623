"""Python with a pyproject.toml: Poetry when it is Poetry's, else uv."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from piku.app import settings
from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.runtimes import python
from piku.runtimes.base import Context, Run, Runtime, link, parse, table

NAME = "pyproject.toml"


def _read(tree: Tree) -> dict[str, Any]:
    return parse(tree, NAME, tomllib.loads)


def _has_path(value: Any) -> bool:
    """Whether this dependency, or any in this table, is a folder or file of the repository."""
    if isinstance(value, dict):
        local = "path" in value or "workspace" in value
        return local or any(map(_has_path, value.values()))
    if isinstance(value, list):
        return any(map(_has_path, value))
    return isinstance(value, str) and "@ file:" in value


# --- Poetry --------------------------------------------------------------------------------------


def _is_poetry(tree: Tree, _procfile: Procfile) -> bool:
    """By its build backend, or by a table of its settings."""
    document = _read(tree)
    backend = str(table(document, "build-system").get("build-backend", ""))
    return backend.startswith("poetry.") or "poetry" in table(document, "tool")


def poetry_installs_project(tree: Tree) -> bool:
    """Whether the project is a package to Poetry: it names its parts, or a module has its name."""
    document = _read(tree)
    own = table(document, "tool", "poetry")
    if own.get("package-mode") is False:
        return False
    if "packages" in own or "build" in own:
        return True
    name = str(own.get("name") or table(document, "project").get("name") or "")
    module = re.sub(r"[-.]+", "_", name)
    places = tuple(f"{folder}{module}{end}" for folder in ("", "src/") for end in ("/", ".py"))
    return bool(module) and any(path.startswith(places) for path in tree.files)


def _poetry_key(context: Context) -> str:
    document = _read(context.tree)
    kinds = ("dependencies", "dev-dependencies", "optional-dependencies", "group")
    tables = (table(document, "tool", "poetry"), table(document, "project"))
    local = any(_has_path(own.get(kind)) for own in tables for kind in kinds)
    return python.environment_key(
        context,
        (NAME, "poetry.lock", "poetry.toml"),
        bound=local or poetry_installs_project(context.tree),
        prefix="POETRY_",
    )


def _poetry_build(context: Context) -> Iterator[Run]:
    yield python.virtualenv(context)
    root = () if poetry_installs_project(context.tree) else ("--no-root",)
    own = {
        "POETRY_CACHE_DIR": str(context.cache / "poetry"),
        # Any other keyring asks for a desktop.
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }
    yield Run(
        argv=("poetry", "install", "--no-interaction", "--no-ansi", *root),
        env=own,
        say="" if root else python.BOUND,
    )


POETRY = Runtime(
    name="poetry",
    title="Python (Poetry)",
    detect=_is_poetry,
    requires=(("python3",), ("virtualenv",), ("poetry",)),
    key=_poetry_key,
    build=_poetry_build,
    compile=lambda context: link(context.checkout / ".venv", context.environment),
    env=lambda _context: {**python.DEFAULTS, "POETRY_VIRTUALENVS_IN_PROJECT": "1"},
)


# --- uv ------------------------------------------------------------------------------------------


def uv_installs_project(tree: Tree) -> bool:
    """Whether the project is a package to uv; then it is installed editable."""
    document = _read(tree)
    said = table(document, "tool", "uv").get("package")
    return said if isinstance(said, bool) else "build-system" in document


def _uv_key(context: Context) -> str:
    document = _read(context.tree)
    own, project = table(document, "tool", "uv"), table(document, "project")
    kinds = ("dependencies", "optional-dependencies")
    listed = [own.get("sources"), document.get("dependency-groups"), *map(project.get, kinds)]
    _uv_python(context)
    return python.environment_key(
        context,
        (NAME, "uv.lock", "uv.toml", ".python-version"),
        bound=uv_installs_project(context.tree) or "workspace" in own or _has_path(listed),
        prefix="UV_",
    )


def _uv_python(context: Context) -> tuple[str, ...]:
    """uv's options for PYTHON_VERSION; uv reads .python-version itself."""
    pinned = context.tree.read(".python-version").strip()
    if not pinned or settings.PYTHON_VERSION.name in context.settings:
        return ("--python", python.interpreter(settings.PYTHON_VERSION.read(context.settings)))
    if short := re.match(r"[23]\.\d+", pinned):
        python.interpreter(short[0], said=f".python-version says {pinned}")
    return ()


def _uv_build(context: Context) -> Iterator[Run]:
    locked = ("--locked",) if "uv.lock" in context.tree.files else ()
    python_options = ("--python-preference", "only-system", *_uv_python(context))
    yield Run(
        argv=("uv", "sync", *python_options, *locked),
        env={**python.uv_cache(context), **_uv_place(context)},
        say=python.BOUND if uv_installs_project(context.tree) else "",
    )


def _uv_place(context: Context) -> Mapping[str, str]:
    return {"UV_PROJECT_ENVIRONMENT": str(context.environment)}


UV = Runtime(
    name="uv",
    title="Python (uv)",
    detect=lambda tree, _procfile: NAME in tree.files,
    requires=(("python3",), ("uv",)),
    key=_uv_key,
    build=_uv_build,
    env=lambda context: {**python.DEFAULTS, **_uv_place(context)},
)
