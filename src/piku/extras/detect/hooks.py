"""What a push is given of it, and told."""

import re
from collections.abc import Iterator, Mapping

from piku.app.tree import Tree
from piku.deploy import releases
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.extras.detect.detect import Files, Fit, detect, how_to_add
from piku.extras.detect.fit import LISTENS
from piku.paths import AppPaths


def procfile(_app: AppPaths, tree: Tree, values: Mapping[str, str]) -> str:
    """Its text; nothing where another folder has one, and the top no more than pages."""
    elsewhere = any(re.fullmatch(r"(?!\.\./).*/Procfile", name) for name in tree.files)
    try:
        lines = _fit(tree, values).lines
    except PikuError:
        if elsewhere or all(name.startswith("../") for name in tree.files):
            return ""  # another extra knows better
        raise
    return "" if elsewhere and lines[0].startswith("static:") else "\n".join(lines)


def initial(_app: AppPaths, tree: Tree, values: Mapping[str, str]) -> dict[str, str]:
    """The settings without which what was found does not work."""
    if "Procfile" in tree.files:
        return {}
    return dict(line.split("=", 1) for line in _fit(tree, values).settings)


def warnings(deployment: Deployment) -> Iterator[str]:
    """Which lines a push runs, as long as nobody has written them down."""
    tree = deployment.revision.tree
    if "Procfile" in tree.files or deployment.release.kind not in ("push", "deploy"):
        return
    fit = _fit(tree, deployment.values)
    yield f"No Procfile: running {' and '.join(f'`{line}`' for line in fit.lines)}, {fit.because}"
    yield "To keep that, or to change it, commit it in a file named Procfile"
    if releases.live(deployment.app) is None:
        yield from (note for note in fit.notes if note != LISTENS)


def _fit(tree: Tree, values: Mapping[str, str]) -> Fit:
    """What runs; raises PikuError with the lines to add where that is not sure."""
    names = [name for name in tree.files if not name.startswith("../")]
    lacking = f"there is no Procfile in {tree.folder or 'the top folder'} of this commit"
    if wrong := [name for name in names if name.lower() in ("procfile", "procfile.txt")]:
        raise PikuError(f"{lacking}, but {wrong[0]}", hint=f"git mv {wrong[0]} Procfile")
    try:
        fit = detect(Files(names=names, read=tree.read, settings=values))
    except PikuError as error:
        raise PikuError(f"{lacking}, and {error.message}", hint=error.hint) from None
    if fit.missing:
        raise PikuError(f"{lacking}, and {fit.missing}", hint=how_to_add(fit.lines))
    return fit
