"""Deno and Bun, as the server has them or from the npm registry."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from piku import subprocesses
from piku.app import checks
from piku.app.procfile import Procfile
from piku.app.settings import Setting
from piku.app.tree import Tree
from piku.extras.languages.core import core_runtime, runs
from piku.runtimes import node
from piku.runtimes.base import Context, Run, Runtime, real_program, search_path

DENO_VERSION = Setting(
    name="DENO_VERSION",
    check=checks.form(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}", "a Deno version such as 2 or 2.1.4"),
    doc="Deno version of the app, such as 2 or 2.1.4, from npm; by default the server's, or npm's"
    " newest.",
)
SETTINGS: tuple[Setting[Any], ...] = (DENO_VERSION,)


# --- Bun -----------------------------------------------------------------------------------------

_BUN_LOCKS = set(node.MANAGERS["bun"].locks)
_OTHER_LOCKS = {lock for tool in node.MANAGERS.values() for lock in tool.locks} - _BUN_LOCKS


def _is_bun(tree: Tree, procfile: Procfile) -> bool:
    """By Bun's lock file or a line that runs Bun, unless another manager locks the packages."""
    ours = _BUN_LOCKS & tree.files.keys() or runs(procfile, "bun", "bunx")
    if not ours or _OTHER_LOCKS & tree.files.keys():
        return False
    return core_runtime(tree, procfile) == "node"


def _by_bun(context: Context) -> Context:
    """As the Node.js row sees an app whose packages Bun installs."""
    if node.chosen(context).program == "bun":
        return context
    return replace(context, settings={**context.settings, "NODE_PACKAGE_MANAGER": "bun"})


def _bun_key(context: Context) -> str:
    assert node.NODE.key is not None
    return node.NODE.key(_by_bun(context))


BUN = replace(
    node.NODE,
    name="bun",
    title="Bun",
    detect=_is_bun,
    key=_bun_key,
    build=lambda context: node.NODE.build(_by_bun(context)),
    compile=lambda context: node.NODE.compile(_by_bun(context)),
)


# --- Deno ----------------------------------------------------------------------------------------

_CONFIGS = ("deno.json", "deno.jsonc")
_LOCK = "deno.lock"
_PLAIN = {"NO_COLOR": "1"}
_MODULE = re.compile(r"[\w./@-]+\.(?:[cm]?[jt]s|[jt]sx)\b")


def _is_deno(tree: Tree, procfile: Procfile) -> bool:
    """By a line that runs Deno; by Deno's files where no other language is recognised."""
    if runs(procfile, "deno"):
        return True
    own = {*_CONFIGS, _LOCK} & tree.files.keys()
    return bool(own) and core_runtime(tree, procfile) in ("generic", "static", "plain")


def _ours(context: Context) -> str:
    """The npm package of the app's own Deno; none when the server's will do."""
    if version := DENO_VERSION.read(context.settings):
        return f"deno@{version}"
    return "" if subprocesses.which("deno", search_path()) else "deno"


def _deno_key(context: Context) -> str:
    return _ours(context) or real_program("deno")


def _deno_build(context: Context) -> Iterator[Run]:
    if package := _ours(context):
        npm = ("npm", "install", "--global", "--no-audit", "--no-fund", "--loglevel=error")
        yield Run(
            argv=(*npm, "--prefix", str(context.environment), package),
            env={"NPM_CONFIG_CACHE": str(context.cache / "npm")},
            say=f"Installing {package} from the npm registry",
        )
    yield Run(argv=("deno", "--version"))


def _deno_compile(context: Context) -> Iterator[Run]:
    """Download what the app imports; both write deno.lock, so that no process does later."""
    tree = context.tree
    frozen = ("--frozen",) if _LOCK in tree.files else ()
    if {*_CONFIGS, "package.json"} & tree.files.keys():
        yield Run(argv=("deno", "install", *frozen), env=_PLAIN)
    said = "\n".join(tree.read(path) for path in ("Procfile", *_CONFIGS))
    named = (path.removeprefix("./") for path in _MODULE.findall(said))
    modules = sorted({path for path in named if path in tree.files})
    if modules:
        yield Run(argv=("deno", "cache", *frozen, *modules), env=_PLAIN)


DENO = Runtime(
    name="deno",
    title="Deno",
    detect=_is_deno,
    requires=(("npm", "deno"),),
    key=_deno_key,
    build=_deno_build,
    compile=_deno_compile,
    env=lambda context: {"DENO_DIR": str(context.cache / "deno"), "DENO_NO_UPDATE_CHECK": "1"},
)
