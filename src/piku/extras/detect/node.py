"""Node.js by its package.json: a `start` script, a site that `build` makes, or a program."""

import re
from collections.abc import Mapping
from typing import Any

from piku.extras.detect.fit import LISTENS, Files, Fit, document, table

_BECAUSE = "as package.json says"
_LOCKS = {
    "package-lock.json": "npm", "npm-shrinkwrap.json": "npm", "yarn.lock": "yarn",
    "pnpm-lock.yaml": "pnpm", "bun.lock": "bun", "bun.lockb": "bun",
}  # fmt: skip
# Servers for the author's own machine. What they show is made by `build`, or is there already.
_FOR_AUTHORS = re.compile(
    r"\bvite( preview| dev)?( -|$)|webpack(-dev-server| serve)|eleventy.* --serve"
    r"|\b(live-server|http-server|browser-sync|(next|nuxt|astro) dev|gatsby develop)\b"
    r"|\b(react-scripts|docusaurus|ng|docsify|hexo) (start|serve|server)\b|vue-cli-service serve"
)
# What makes a site, and the folder it writes unless told otherwise.
_SITES = {
    "vite build": "dist", "astro build": "dist", "react-scripts build": "build",
    "vue-cli-service build": "dist", "docusaurus build": "build", "eleventy": "_site",
    "gatsby build": "public", "hexo generate": "public", "parcel build": "dist",
    "nuxt generate": ".output/public", "webpack": "dist",
}  # fmt: skip
# What makes a server, and what starts that.
_SERVERS = {"nuxt build": "node .output/server/index.mjs", "next build": "npx next start"}
_USUAL = ("server.js", "app.js", "index.js", "src/server.js", "src/index.js")


def start(files: Files) -> Fit | None:
    """What fits an app whose package.json says how it starts."""
    package = document(files, "package.json")
    scripts, run = table(package, "scripts"), _manager(files, package)
    command = str(scripts.get("start") or "")
    if not command or _FOR_AUTHORS.search(command):
        return None
    return _fit(f"{run} start", f"{run} run build" if "build" in scripts else "")


def other(files: Files) -> Fit | None:
    """What fits an app that its package.json builds, or only describes."""
    package = document(files, "package.json")
    if build := str(table(package, "scripts").get("build") or ""):
        return _built(package, build, f"{_manager(files, package)} run build")
    return None if not package or "index.html" in files else _program(files, package)


def _fit(command: str, build: str = "", missing: str = "") -> Fit:
    lines = (f"web: {command}", *([f"release: {build}"] if build else []))
    return Fit(title="Node.js", lines=lines, because=_BECAUSE, missing=missing, notes=(LISTENS,))


def _manager(files: Files, package: Mapping[str, Any]) -> str:
    """The package manager's program, by the rules of runtimes/node.py."""
    chosen = files.settings.get("NODE_PACKAGE_MANAGER", "").split(" ")[0]
    named = str(package.get("packageManager") or "")
    locked = next((name for lock, name in _LOCKS.items() if lock in files), "npm")
    found = re.match(r"(?:@[\w-]+/)?([\w-]+)", chosen or named or locked)
    return found[1] if found else "npm"


def _built(package: Mapping[str, Any], build: str, run: str) -> Fit:
    """A server or a site that the `build` script makes."""
    for call, command in _SERVERS.items():
        if call in build:
            return _fit(command, run)
    needs = {*table(package, "devDependencies"), *table(package, "dependencies")}
    if "@sveltejs/kit" in needs and "@sveltejs/adapter-static" not in needs:
        own = "@sveltejs/adapter-node" in needs
        missing = "" if own else "it needs @sveltejs/adapter-node, or adapter-static"
        return _fit("node build", run, missing)
    folder = next((folder for call, folder in _SITES.items() if call in build), "")
    folder = "build" if "@sveltejs/kit" in needs else folder
    return Fit(
        title="Node.js, a site that is built",
        lines=(f"static: {folder or 'dist'}",),
        because=_BECAUSE,
        missing="" if folder else "package.json does not say where `build` puts the site",
    )


def _program(files: Files, package: Mapping[str, Any]) -> Fit | None:
    main = str(package.get("main") or "").removeprefix("./")
    name = next((name for name in (main, *_USUAL) if name and name in files), "")
    if not name:
        return None
    serves = re.search(r"\b(listen|serve|createServer)\(", files.read(name))
    missing = "" if serves else f"package.json has no `start` script, and {name} may be no server"
    return _fit(f"node {name}", missing=missing)
