"""Node.js: packages in the environment, linked into each release; a Node.js of its own."""

import json
import os
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from piku import subprocesses
from piku.app import settings
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.runtimes.base import Context, Run, Runtime, link, parse

_NAME = "package.json"
_DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies", "resolutions")
# What npm itself would run of the app's own package.json.
_SCRIPTS = ("preinstall", "install", "postinstall", "prepublish", "prepare")
_LOCAL = re.compile(r"(file|link|portal|workspace):|\.{0,2}/|~/")
_READ = (".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", "pnpm-workspace.yaml", "bunfig.toml")
_SETTINGS = re.compile(
    r"(?i)(NPM|PNPM)_CONFIG_.*|YARN_.*|BUN_.*|NODE_(ENV|VERSION|PACKAGE_MANAGER)"
)
_MACHINES = {"x86_64": "x64", "aarch64": "arm64", "armv7l": "armv7l"}
_YARN = "@yarnpkg/cli-dist"
_QUIET = ("--no-audit", "--no-fund")
_GLOBALLY = ("npm", "install", "--global", *_QUIET, "--prefix")


@dataclass(frozen=True, kw_only=True)
class Manager:
    """How a package manager installs what a lock file says, and what package.json says."""

    locks: tuple[str, ...] = ()
    locked: tuple[str, ...] = ("install", "--frozen-lockfile")
    unlocked: tuple[str, ...] = ("install",)


MANAGERS = {
    "npm": Manager(
        locks=("package-lock.json", "npm-shrinkwrap.json"),
        locked=("ci", *_QUIET),
        unlocked=("install", "--package-lock=false", *_QUIET),
    ),
    "yarn": Manager(
        locks=("yarn.lock",),
        locked=("install", "--non-interactive", "--frozen-lockfile"),
        unlocked=("install", "--non-interactive", "--no-lockfile"),
    ),
    _YARN: Manager(  # Yarn from 2 on
        locks=("yarn.lock",),
        locked=("install", "--immutable"),
        unlocked=("install", "--no-immutable"),
    ),
    "pnpm": Manager(locks=("pnpm-lock.yaml",), unlocked=("install", "--no-lockfile")),
    "bun": Manager(locks=("bun.lock", "bun.lockb"), unlocked=("install", "--no-save")),
}


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The package manager of an app: its npm package, its program, and the user's options."""

    package: str
    program: str
    manager: Manager
    options: tuple[str, ...]


def _package(tree: Tree) -> dict[str, Any]:
    """package.json; raises PikuError when it is malformed."""
    found = parse(tree, _NAME, json.loads)
    for name in ("scripts", *_DEPENDENCIES):
        if not isinstance(found.get(name) or {}, dict):
            raise PikuError(f"{_NAME} is malformed: {name!r} is not an object")
    return found


def chosen(context: Context) -> Chosen:
    """NODE_PACKAGE_MANAGER, else the one in package.json, else by the lock file, else npm."""
    tree, own = context.tree, settings.NODE_PACKAGE_MANAGER.read(context.settings)
    named = str(_package(tree).get("packageManager", "")).partition("+")[0]
    locked = (name for name, manager in MANAGERS.items() if tree.files.keys() & {*manager.locks})
    package, *options = own or (named or next(locked, "npm"),)
    if package == "yarn":  # whose lock file tells which of the two it was written by
        package = "yarn@4" if "\n__metadata:" in tree.read("yarn.lock") else "yarn@1"
    # npm has Yarn from 2 on by another name.
    package = re.sub(r"^yarn@(?=\W*[2-9])", f"{_YARN}@", package)
    name = re.sub(r"(?<!^)@.*", "", package)
    program = "yarn" if name == _YARN else name.rpartition("/")[2]
    manager = MANAGERS.get(name, Manager())
    return Chosen(package=package, program=program, manager=manager, options=tuple(options))


def _own_scripts(tree: Tree) -> list[str]:
    scripts = _package(tree).get("scripts") or {}
    return [name for name in _SCRIPTS if name in scripts]


def _files(context: Context) -> list[str]:
    """What the installation reads: everything, if packages come from the repository itself."""
    tree, package = context.tree, _package(context.tree)
    wanted = [str(text) for kind in _DEPENDENCIES for text in (package.get(kind) or {}).values()]
    local = "workspaces" in package or "pnpm-workspace.yaml" in tree.files
    if local or any(_LOCAL.match(text) for text in wanted):
        return sorted(path for path in tree.files if not path.startswith(("node_modules/", "../")))
    own = {path for path in tree.files if path.startswith(".yarn/")}
    return sorted({_NAME, *_READ, *chosen(context).manager.locks} & tree.files.keys() | own)


def _key(context: Context) -> str:
    version = _version(context) or _major()
    # Scripts of the app's own may write into node_modules: then no two releases share them.
    place = str(context.checkout) if _own_scripts(context.tree) else ""
    own = context.chosen(_SETTINGS.fullmatch)
    files = context.digests(_files(context))
    return "\n".join((version, place, chosen(context).package, *own, *files))


def _version(context: Context) -> str:
    return settings.NODE_VERSION.read(context.settings).removeprefix("v")


def _major() -> str:
    """The server's own Node.js: compiled packages fit one major version."""
    node = subprocesses.which("node", subprocesses.SYSTEM_PATH) or "node"
    return subprocesses.run([node, "--version"]).partition(".")[0]


def _build(context: Context) -> Iterator[Run]:
    home, cache, tool = context.environment, context.cache, chosen(context)
    env = {"NPM_CONFIG_CACHE": str(cache / "npm")}
    own, shared = cache / "npm" / "_cacache", cache.parent / "@npm"
    yield Run(argv=("mkdir", "-p", str(home / "node_modules"), str(own), str(shared)))
    # Packages, each named by its hash, which npm checks whenever it reads one: all apps share them.
    yield from link(own / "content-v2", shared)
    if version := _version(context):
        yield from _own_version(context, version, env)
    if tool.package != "npm":
        argv = (*_GLOBALLY, str(home / ".node"), tool.package)
        yield Run(argv=argv, env=env, say=f"Installing {tool.package}")
    # What the installation reads, put where node_modules will be.
    names = sorted({path.partition("/")[0] for path in _files(context)})
    yield Run(argv=("cp", "-a", *(str(context.checkout / name) for name in names), str(home)))
    if scripts := _own_scripts(context.tree):  # compile runs them, in the checkout
        yield Run(argv=("npm", "pkg", "delete", *(f"scripts.{name}" for name in scripts)), cwd=home)
    env |= {"BUN_INSTALL_CACHE_DIR": str(cache / "bun"), "YARN_GLOBAL_FOLDER": str(cache / "yarn")}
    env |= {"YARN_CACHE_FOLDER": str(cache / "yarn"), "YARN_ENABLE_TELEMETRY": "0"}
    if "build" in (_package(context.tree).get("scripts") or {}):
        env["NODE_ENV"] = "development"  # what it calls is often among the devDependencies
    yield Run(argv=_install(context, tool), env=env, cwd=home)


def _install(context: Context, tool: Chosen) -> tuple[str, ...]:
    present = any(lock in context.tree.files for lock in tool.manager.locks)
    ignored = {"--package-lock=false", "--no-package-lock", "--no-lockfile"} & set(tool.options)
    words = tool.manager.locked if present and not ignored else tool.manager.unlocked
    store = ("--store-dir", str(context.cache / "pnpm")) if tool.program == "pnpm" else ()
    return (tool.program, *words, *store, *tool.options)


def _own_version(context: Context, version: str, env: Mapping[str, str]) -> Iterator[Run]:
    """Install a Node.js: nodeenv knows whole versions, the npm registry any part of one."""
    place = context.environment / ".node"
    # npm keeps what it downloads, nodeenv does not: it is for those who set NODE_VERSION.
    whole = version.count(".") == 2 and not context.interpreter
    if whole and subprocesses.which("nodeenv", subprocesses.SYSTEM_PATH):
        argv = ("nodeenv", "--prebuilt", f"--node={version}", str(place))
        yield Run(argv=argv, say=f"Node.js {version}: nodeenv downloads it", optional=True)
    if not (place / "bin" / "node").exists():
        npm = "npm@10" if int(version.partition(".")[0]) >= 18 else "npm@6"
        packages = (f"{_binary()}@{version}", npm)
        yield Run(argv=("rm", "-rf", str(place)))
        yield Run(
            argv=(*_GLOBALLY, str(place), "--ignore-scripts", *packages),
            env=env,
            say=f"Node.js {version}: from the npm registry",
        )
    node = place / "bin" / "node"
    if not node.exists():
        raise PikuError(f"there is no Node.js {version} for this machine")
    yield Run(argv=(str(node), "--version"))


def _binary() -> str:
    """The npm package with the Node.js of this machine's kind."""
    machine = os.uname().machine
    if machine == "aarch64" and struct.calcsize("P") == 4:  # a 32-bit system on a 64-bit kernel
        machine = "armv7l"
    if machine not in _MACHINES:
        raise PikuError(f"NODE_VERSION: there are no binaries of Node.js for {machine}")
    return f"node-linux-{_MACHINES[machine]}"


def _compile(context: Context) -> Iterator[Run]:
    yield from link(context.checkout / "node_modules", context.environment / "node_modules")
    tool, scripts = chosen(context), _own_scripts(context.tree)
    for name in scripts:
        # `run install` runs the two around it as well.
        if "install" in scripts and name in ("preinstall", "postinstall"):
            continue
        yield Run(argv=(tool.program, "run", name), say=f"{tool.program} run {name}")


NODE = Runtime(
    name="node",
    title="Node.js",
    detect=lambda tree, _procfile: _NAME in tree.files,
    requires=(("node",), ("npm",)),
    key=_key,
    build=_build,
    compile=_compile,
    env=lambda context: {
        "NODE_PATH": str(context.environment / "node_modules"),
        "NPM_CONFIG_PREFIX": str(context.environment / ".node"),
        "NPM_CONFIG_UPDATE_NOTIFIER": "false",  # npm speaks of itself in the app's log otherwise
        # By default, Yarn from 2 on keeps packages zipped, and its notes beside the code.
        "YARN_NODE_LINKER": "node-modules",
        "YARN_INSTALL_STATE_PATH": str(context.environment / ".yarn" / "install-state.gz"),
    },
    path=lambda context: (
        context.environment / "node_modules" / ".bin",
        context.environment / ".node" / "bin",
    ),
)
