"""Node.js: packages in the environment and linked into each release, with a Node.js of the app's own at need."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from piku import subprocesses
from piku.app import settings
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.runtimes.base import Context, Run, Runtime, linked

# What npm itself would run of the app's own package.json.
_SCRIPTS = ("preinstall", "install", "postinstall", "prepublish", "prepare")
_LOCAL = re.compile(r"(file|link|portal|workspace):|\.{0,2}/|~/")
_READ = (".npmrc", ".yarnrc", ".yarnrc.yml", ".pnpmfile.cjs", "pnpm-workspace.yaml", "bunfig.toml")
_SETTINGS = re.compile(
    r"(?i)(NPM|PNPM)_CONFIG_.*|YARN_.*|BUN_.*|NODE_(ENV|VERSION|PACKAGE_MANAGER)"
)
_MACHINES = {
    "x86_64": "x64",
    "aarch64": "arm64",
    "armv7l": "armv7l",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
}
# Writes package.json without the scripts above: those belong to the checkout, where compile runs them.
_WITHOUT_SCRIPTS = (
    "const fs=require('fs'),[from,to]=process.argv.slice(1),p=JSON.parse(fs.readFileSync(from));"
    f"for(const name of {json.dumps(_SCRIPTS)})delete p.scripts[name];"
    "fs.writeFileSync(to,JSON.stringify(p,null,2))"
)


@dataclass(frozen=True, kw_only=True)
class Manager:
    """How a package manager is told to install what a lock file says, and what package.json says."""

    locks: tuple[str, ...] = ()
    locked: tuple[str, ...] = ("install",)
    unlocked: tuple[str, ...] = ("install",)


MANAGERS = {
    "npm": Manager(
        locks=("package-lock.json", "npm-shrinkwrap.json"),
        locked=("ci", "--no-audit", "--no-fund"),
        unlocked=("install", "--package-lock=false", "--no-audit", "--no-fund"),
    ),
    "yarn": Manager(
        locks=("yarn.lock",),
        locked=("install", "--non-interactive", "--frozen-lockfile"),
        unlocked=("install", "--non-interactive", "--no-lockfile"),
    ),
    "pnpm": Manager(
        locks=("pnpm-lock.yaml",),
        locked=("install", "--frozen-lockfile"),
        unlocked=("install", "--no-lockfile"),
    ),
    "bun": Manager(
        locks=("bun.lock", "bun.lockb"),
        locked=("install", "--frozen-lockfile"),
        unlocked=("install", "--no-save"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The package manager of an app: what npm knows it by, its program, and options of the user's."""

    package: str
    program: str
    options: tuple[str, ...]

    @property
    def manager(self) -> Manager:
        return MANAGERS.get(self.program, Manager())


def described(tree: Tree) -> dict[str, Any]:
    """What package.json says; raises PikuError when it is not one."""
    try:
        found = json.loads(tree.read("package.json"))
    except ValueError as error:
        raise PikuError(f"package.json is not valid JSON: {error}") from None
    if not isinstance(found, dict):
        raise PikuError("package.json does not hold an object")
    return found


def chosen(context: Context) -> Chosen:
    """NODE_PACKAGE_MANAGER, or what package.json names, or the one whose lock file there is, or npm."""
    package, *options = settings.NODE_PACKAGE_MANAGER.read(context.settings) or (
        _usual(context.tree),
    )
    name = re.sub(r"(?<!^)@.*", "", package)
    # What npm calls the latest yarn is an old beginning of another program.
    return Chosen(
        package="yarn@1" if package == "yarn" else package,
        program=name.rpartition("/")[2],
        options=tuple(options),
    )


def _usual(tree: Tree) -> str:
    named = str(described(tree).get("packageManager", "")).partition("+")[0]
    locked = (name for name, manager in MANAGERS.items() if tree.files.keys() & set(manager.locks))
    return named or next(locked, "npm")


def _own_scripts(tree: Tree) -> list[str]:
    scripts = described(tree).get("scripts")
    return [name for name in _SCRIPTS if name in scripts] if isinstance(scripts, dict) else []


def _needs_tree(tree: Tree) -> bool:
    """Whether packages are installed from the repository itself."""
    package = described(tree)
    kinds = ("dependencies", "devDependencies", "optionalDependencies", "resolutions")
    wanted = [str(text) for kind in kinds for text in (package.get(kind) or {}).values()]
    return (
        "workspaces" in package
        or "pnpm-workspace.yaml" in tree.files
        or any(_LOCAL.match(text) for text in wanted)
    )


def _files(context: Context) -> list[str]:
    """What the installation reads."""
    tree = context.tree
    if _needs_tree(tree):
        return sorted(path for path in tree.files if not path.startswith("node_modules/"))
    known = {"package.json", *_READ, *chosen(context).manager.locks}
    return sorted(known & tree.files.keys())


def _key(context: Context) -> str:
    version = settings.NODE_VERSION.read(context.settings) or _major()
    # Scripts of the app's own may write into node_modules: then no two releases share them.
    alone = str(context.checkout) if _own_scripts(context.tree) else ""
    ours = sorted(f"{n}={v}" for n, v in context.settings.items() if _SETTINGS.fullmatch(n))
    files = [f"{path} {context.tree.digest(path)}" for path in _files(context)]
    return "\n".join((version, alone, chosen(context).package, *ours, *files))


def _major() -> str:
    """The server's own Node.js: compiled packages fit one major version."""
    return subprocesses.run(
        [subprocesses.which("node", subprocesses.SYSTEM_PATH) or "node", "--version"]
    ).partition(".")[0]


def _build(context: Context) -> Iterator[Run]:
    home, cache = context.environment, {"NPM_CONFIG_CACHE": str(context.cache / "npm")}
    yield Run(argv=("mkdir", "-p", str(home / "node_modules")))
    yield from _own_version(context, settings.NODE_VERSION.read(context.settings), cache)
    tool = chosen(context)
    if tool.package != "npm":
        yield Run(
            argv=(*_globally(home), tool.package), env=cache, say=f"Installing {tool.package}"
        )
    yield from _copied(context)
    yield Run(argv=_install(context, tool), env={**cache, **_caches(context)}, cwd=home)


def _install(context: Context, tool: Chosen) -> tuple[str, ...]:
    present = any(lock in context.tree.files for lock in tool.manager.locks)
    ignored = {"--package-lock=false", "--no-package-lock", "--no-lockfile"} & set(tool.options)
    words = tool.manager.locked if present and not ignored else tool.manager.unlocked
    store = ("--store-dir", str(context.cache / "pnpm")) if tool.program == "pnpm" else ()
    return (tool.program, *words, *store, *tool.options)


def _caches(context: Context) -> Mapping[str, str]:
    names = {"YARN_CACHE_FOLDER": "yarn", "BUN_INSTALL_CACHE_DIR": "bun"}
    return {variable: str(context.cache / folder) for variable, folder in names.items()}


def _globally(home: Path) -> tuple[str, ...]:
    return (
        "npm",
        "install",
        "--global",
        "--prefix",
        str(home / ".node"),
        "--no-audit",
        "--no-fund",
    )


def _own_version(context: Context, version: str, cache: Mapping[str, str]) -> Iterator[Run]:
    """nodeenv knows whole versions only; the npm registry has the same binaries, and any part of a version."""
    if not version:
        return
    place = context.environment / ".node"
    if version.count(".") == 2 and subprocesses.which("nodeenv", subprocesses.SYSTEM_PATH):
        yield Run(
            argv=("nodeenv", "--prebuilt", f"--node={version}", str(place)),
            say=f"Node.js {version}: nodeenv fetches it from nodejs.org", optional=True,
        )  # fmt: skip
    if not (place / "bin" / "node").exists():
        package = f"{binary_package()}@{version}"
        yield Run(argv=("rm", "-rf", str(place)))
        yield Run(
            argv=(*_globally(context.environment), "--ignore-scripts", package, f"npm@{npm_for(version)}"),
            env=cache, say=f"Node.js {version}: from the npm registry, as {package}",
        )  # fmt: skip
    yield Run(argv=("node", "--version"))


def binary_package() -> str:
    """The npm package that holds the Node.js of this machine's kind."""
    machine = os.uname().machine
    if machine == "aarch64" and struct.calcsize("P") == 4:  # a 32-bit system on a 64-bit kernel
        machine = "armv7l"
    if machine not in _MACHINES:
        raise PikuError(f"NODE_VERSION: there are no binaries of Node.js for {machine}")
    return f"node-linux-{_MACHINES[machine]}"


def npm_for(version: str) -> str:
    """The npm that runs on this Node.js (npm's own "engines")."""
    major = int(version.partition(".")[0])
    return next(
        npm for least, npm in ((24, "11"), (18, "10"), (14, "9"), (0, "6")) if major >= least
    )


def _copied(context: Context) -> Iterator[Run]:
    """What the installation reads, put where node_modules will be."""
    source, home = context.checkout, context.environment
    names = sorted({path.partition("/")[0] for path in _files(context)})
    yield Run(argv=("cp", "-a", *(str(source / name) for name in names), str(home)))
    if _own_scripts(context.tree):
        yield Run(
            argv=(
                "node",
                "-e",
                _WITHOUT_SCRIPTS,
                str(source / "package.json"),
                str(home / "package.json"),
            )
        )


def _compile(context: Context) -> Iterator[Run]:
    yield from linked(context.checkout / "node_modules", context.environment / "node_modules")
    program = chosen(context).program
    scripts = _own_scripts(context.tree)
    for name in scripts:
        # `run install` runs the two around it as well.
        if "install" in scripts and name in ("preinstall", "postinstall"):
            continue
        yield Run(argv=(program, "run", name), say=f"{program} run {name}")


NODE = Runtime(
    name="node",
    title="Node.js",
    detect=lambda tree, _procfile: "package.json" in tree.files,
    requires=(("node",), ("npm",)),
    key=_key,
    build=_build,
    compile=_compile,
    env=lambda context: {
        "NODE_PATH": str(context.environment / "node_modules"),
        "NPM_CONFIG_PREFIX": str(context.environment / ".node"),
    },
    path=lambda context: (
        context.environment / "node_modules" / ".bin",
        context.environment / ".node" / "bin",
    ),
)
