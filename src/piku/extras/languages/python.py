"""Python projects by PDM, with its lock file, and by Hatch, with its environments."""

import tomllib
from collections.abc import Iterator
from os import getuid
from pwd import getpwuid
from typing import Any

from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.extras.languages.core import core_runtime, runs
from piku.runtimes import python
from piku.runtimes.base import Context, Run, Runtime, parse, table

_PYPROJECT, _PDM_LOCK, _HATCH = "pyproject.toml", "pdm.lock", "hatch.toml"


def _pyproject(tree: Tree) -> dict[str, Any]:
    return parse(tree, _PYPROJECT, tomllib.loads)


# --- PDM -----------------------------------------------------------------------------------------


def _is_pdm(tree: Tree, procfile: Procfile) -> bool:
    """By PDM's lock file alone: without one, uv installs a project of PDM's as well."""
    locked = _PDM_LOCK in tree.files and "uv.lock" not in tree.files
    return locked and core_runtime(tree, procfile) == "uv"


def _pdm_installs_project(tree: Tree) -> bool:
    said = table(_pyproject(tree), "tool", "pdm").get("distribution")
    return said if isinstance(said, bool) else "build-system" in _pyproject(tree)


def _pdm_key(context: Context) -> str:
    bound = _pdm_installs_project(context.tree) or "path =" in context.tree.read(_PDM_LOCK)
    files = (_PYPROJECT, _PDM_LOCK, "pdm.toml")
    return python.environment_key(context, files, bound=bound, prefix="PDM_")


def _pdm_build(context: Context) -> Iterator[Run]:
    yield python.virtualenv(context)
    own = () if _pdm_installs_project(context.tree) else ("--no-self",)
    yield Run(
        argv=("pdm", "sync", "--prod", *own),
        env={"PDM_CACHE_DIR": str(context.cache / "pdm"), "PDM_CHECK_UPDATE": "0"},
    )


PDM = Runtime(
    name="pdm",
    title="Python (PDM)",
    detect=_is_pdm,
    requires=(("python3",), ("virtualenv",), ("pdm",)),
    install="apt-get install python3-pdm virtualenv",
    key=_pdm_key,
    build=_pdm_build,
    # PDM takes the environment of VIRTUAL_ENV, not one that it remembers or makes.
    env=lambda _context: {**python.DEFAULTS, "PDM_IGNORE_SAVED_PYTHON": "1"},
)


# --- Hatch ---------------------------------------------------------------------------------------


def _is_hatch(tree: Tree, procfile: Procfile) -> bool:
    """By a line that runs Hatch: the environments of many projects are only for their tests."""
    return runs(procfile, "hatch") and core_runtime(tree, procfile) == "uv"


def _hatch_key(context: Context) -> str:
    own = table(parse(context.tree, _HATCH, tomllib.loads), "envs", "default")
    default = own or table(_pyproject(context.tree), "tool", "hatch", "envs", "default")
    bound = not (default.get("skip-install") or default.get("detached"))
    files = (_PYPROJECT, _HATCH)
    return python.environment_key(context, files, bound=bound, prefix="HATCH_")


def _hatch_build(context: Context) -> Iterator[Run]:
    env = {"HATCH_PYTHON": python.chosen_interpreter(context)}
    yield Run(argv=("hatch", "--no-interactive", "env", "create"), env=env)


HATCH = Runtime(
    name="hatch",
    title="Python (Hatch)",
    detect=_is_hatch,
    requires=(("python3",), ("hatch",)),
    # pipx installs for the user who runs it, and builds look there.
    install=f"apt-get install pipx && sudo -Hu {getpwuid(getuid()).pw_name} pipx install hatch",
    key=_hatch_key,
    build=_hatch_build,
    env=lambda context: {
        **python.DEFAULTS,
        "HATCH_ENV_TYPE_VIRTUAL_PATH": str(context.environment),
        "HATCH_DATA_DIR": str(context.cache / "hatch" / "data"),
        "HATCH_CACHE_DIR": str(context.cache / "hatch" / "cache"),
    },
)
