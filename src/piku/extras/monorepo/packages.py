"""Node.js apps whose packages come from beside their folder: of a workspace, or by a path.

What the core does in the top folder of a repository is done where the workspace has its top, in a
copy of the repository, or in that copy's folder of the app.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from piku import runtimes
from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.runtimes import node
from piku.runtimes.base import Context, Run, Runtime, parse, table

_NAME, _PNPM = "package.json", "pnpm-workspace.yaml"
_KINDS = ("dependencies", "devDependencies", "optionalDependencies")


def _detect(tree: Tree, procfile: Procfile) -> bool:
    if not tree.folder or _NAME not in tree.files:
        return False
    row = next(row for row in runtimes.RUNTIMES if row.detect(tree, procfile))
    return row is node.NODE and (_workspace(tree) is not None or _has_paths(tree))


def _workspace(tree: Tree) -> str | None:
    """The top folder of the workspace that the app's folder is in, as a path in the repository."""
    for path in tree.above(_PNPM, _NAME):
        is_top = path.endswith(_PNPM) or "workspaces" in parse(tree, path, json.loads)
        if is_top and path.startswith("../"):
            return os.path.normpath(Path(tree.folder, path).parent)
    return None


def _has_paths(tree: Tree) -> bool:
    """Whether a package is a path out of the app's folder."""
    package = parse(tree, _NAME, json.loads)
    wanted = (str(text) for kind in _KINDS for text in table(package, kind).values())
    return any(text.startswith(("file:../", "link:../", "portal:../", "../")) for text in wanted)


def _outer(context: Context, top: str) -> Context:
    """What the core's row is to look at instead: the workspace in its top folder."""
    tree = context.tree
    whole = {_from_top(tree, path): path for path in tree.files}
    outer = Tree(
        files={path: tree.files[seen] for path, seen in whole.items()},
        read=lambda path: tree.read(whole.get(path, "")),
        modes={path: tree.modes[seen] for path, seen in whole.items()},
    ).seen_from("" if top == "." else top)
    return replace(context, tree=outer, checkout=_repository(context) / top)


def _inner(context: Context) -> Context:
    """The app's folder alone, with the place of its packages in the environment."""
    tree, top = context.tree, _workspace(context.tree) or "."
    own = {path: content for path, content in tree.files.items() if path[:3] != "../"}
    place = context.environment / os.path.relpath(tree.folder, top)
    return replace(context, tree=replace(tree, files=own, folder=""), environment=place)


def _installed(context: Context) -> Context:
    """Where packages are installed."""
    top = _workspace(context.tree)
    return _inner(context) if top is None else _outer(context, top)


def _from_top(tree: Tree, path: str) -> str:
    return os.path.normpath(Path(tree.folder, path))


def _repository(context: Context) -> Path:
    return context.checkout.parents[len(Path(context.tree.folder).parts) - 1]


def _key(context: Context) -> str:
    assert node.NODE.key is not None
    files = context.digests(context.tree.files)
    return "\n".join((node.NODE.key(_installed(context)), context.tree.folder, *files))


def _build(context: Context) -> Iterator[Run]:
    place, inner = _installed(context), _inner(context)
    yield Run(argv=("mkdir", "-p", str(inner.environment / "node_modules")))
    if place.environment == inner.environment:
        names = {_from_top(context.tree, path).partition("/")[0] for path in context.tree.files}
        copy = ("cp", "-a", *sorted(names), str(context.environment))
        yield Run(argv=copy, cwd=_repository(context))
    yield from _in(place, node.NODE.build(place))


def _compile(context: Context) -> Iterator[Run]:
    place, inner = _installed(context), _inner(context)
    if place.environment != inner.environment:
        yield from _in(place, node.NODE.compile(place))
    yield from node.NODE.compile(inner)


def _in(place: Context, steps: Iterator[Run]) -> Iterator[Run]:
    """These programs, in that checkout."""
    return (replace(step, cwd=step.cwd or place.checkout) for step in steps)


WORKSPACE: Runtime = replace(
    node.NODE,
    detect=_detect,
    key=_key,
    build=_build,
    compile=_compile,
    env=lambda context: node.NODE.env(_installed(context)),
    path=lambda context: (
        _inner(context).environment / "node_modules" / ".bin",
        *node.NODE.path(_installed(context)),
    ),
)
ROWS = (WORKSPACE,)
