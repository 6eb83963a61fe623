"""Which of an app's files count, where two of them say the same kind of thing."""

import contextlib
import re
import tomllib
from collections.abc import Iterator

from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.runtimes import RUNTIMES, node, python
from piku.runtimes.base import Runtime, parse, table

_OF_PYPROJECT = ("poetry", "uv")
# Not recognised by a file of their own.
_BY_PROCFILE = ("php", "generic", "static", "plain")
_BRANCH = re.compile(r"[^#]*?(\bgit\+[^\s#@]+(?:@[^\s#@/]+/)?[^\s#@]*)(@[^\s#]*)?(?=[\s#;]|$)")
_COMMIT = re.compile(r"@[0-9a-f]{7,40}")


def check(deployment: Deployment) -> list[str]:
    """Say it in a push that builds. A file that does not count may be malformed."""
    found = deployment.revision
    if deployment.release.has_own_code:
        with contextlib.suppress(PikuError):
            for line in notes(found.runtime, found.tree, found.procfile):
                deployment.output.detail(line)
    return []


def notes(runtime: Runtime, tree: Tree, procfile: Procfile) -> Iterator[str]:
    """A line for each file that does not count, or not as its author may think. Pure."""
    for other in _others(runtime, tree, procfile):
        yield f"Built as {runtime.title}: what there is for {other.title} is not used"
    if runtime.name == "python":
        yield from _branches(tree)
    if runtime.name == "node":
        yield from _of_node(tree)


def _others(runtime: Runtime, tree: Tree, procfile: Procfile) -> list[Runtime]:
    """The rows of other files that are there. Two rows may be for one pyproject.toml; and a row
    that is not the core's takes what the core would build otherwise."""
    rows = [row for row in RUNTIMES if row.name not in _BY_PROCFILE]
    if runtime.name not in {row.name for row in rows}:
        return []
    same = runtime.name in _OF_PYPROJECT or not _installs(tree)
    names = {runtime.name, *(_OF_PYPROJECT if same else ())}
    found = [row for row in rows if row.name not in names and row.detect(tree, procfile)]
    twice = [row for row in found if row.name in _OF_PYPROJECT][1:]
    return [row for row in found if row not in twice]


def _installs(tree: Tree) -> bool:
    """Whether pyproject.toml says what to install: it may hold settings of tools alone."""
    document = parse(tree, "pyproject.toml", tomllib.loads)
    poetry = table(document, "tool", "poetry", "dependencies").keys() - {"python"}
    return bool(table(document, "project").get("dependencies") or poetry)


def _of_node(tree: Tree) -> Iterator[str]:
    if any(path.startswith("node_modules/") for path in tree.files):
        yield "node_modules is installed anew: remove it with git rm -r --cached node_modules"
    locks = (lock for one in node.MANAGERS.values() for lock in one.locks if lock in tree.files)
    found = " and ".join(dict.fromkeys(locks))
    if " and " in found:
        yield f"There are {found}, of which one counts: that of the package manager that installs"


def _branches(tree: Tree) -> Iterator[str]:
    files, _ = python.requirement_files(tree)
    for path in sorted(files):
        for line in tree.read(path).splitlines():
            found = _BRANCH.match(line)
            if found and not _COMMIT.fullmatch(found[2] or ""):
                name = re.sub(r"//[^/]*@", "//", found[1])  # without a password
                yield f"{name} is not fetched again when its branch moves: pin it in {path}"
