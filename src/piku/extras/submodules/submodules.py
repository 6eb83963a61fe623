"""Which folders of a commit are other repositories, and getting their files."""

import posixpath
from collections.abc import Iterable, Mapping
from pathlib import Path

from piku import subprocesses
from piku.app.tree import Tree
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.paths import AppPaths

_TIMEOUT = 600.0  # seconds; the app's lock is held meanwhile
_REPOSITORY = "160000"  # git's mode for the commit of another repository
_PATHS = ("config", "--file", "-", "--null", "--get-regexp", r"^submodule\..*\.path$")


def check(deployment: Deployment) -> Iterable[str]:
    """Refuse a commit that a new checkout would not have all files of."""
    if deployment.release.has_own_code:
        refuse_unnamed(deployment.revision.tree)
    return ()


def no_procfile(_app: AppPaths, tree: Tree, _settings: Mapping[str, str]) -> str:
    """It may be in such a folder."""
    refuse_unnamed(tree)
    return ""


def refuse_unnamed(tree: Tree) -> None:
    """Raise PikuError for a repository that .gitmodules does not have."""
    seen = [path for path, mode in tree.modes.items() if mode == _REPOSITORY]
    found = {posixpath.normpath(posixpath.join(tree.folder, path)) for path in seen}
    lost = sorted(found - _named(tree)) if found else []
    if lost:
        one = lost[0]
        raise PikuError(
            f"this commit lacks the files of {', '.join(lost[:3])}: a git repository of its own",
            hint=f"to add its files: rm -rf {one}/.git && git rm --cached {one} && git add {one}\n"
            f"to keep it apart: git rm --cached {one} && git submodule add URL {one}",
        )


def _named(tree: Tree) -> set[str]:
    """The folders that .gitmodules says where to fetch."""
    text = tree.read("../" * len(Path(tree.folder).parts) + ".gitmodules")
    listing = subprocesses.run(["git", *_PATHS], stdin=text, check=False)
    return {posixpath.normpath(entry.partition("\n")[2]) for entry in listing.split("\0") if entry}


def fetch(_app: AppPaths, folder: Path, _commit: str) -> None:
    """Fetch the submodules of a new checkout."""
    if not (folder / ".gitmodules").exists():
        return
    update = ("submodule", "--quiet", "update", "--init", "--recursive")
    env = {**subprocesses.environment(), "GIT_TERMINAL_PROMPT": "0"}
    try:
        subprocesses.run(["git", "-C", str(folder), *update], env=env, timeout=_TIMEOUT)
    except PikuError as error:
        hint = "the server must reach its address; private ones need a key in piku's ~/.ssh"
        detail = error.detail or (error.message,)
        raise PikuError("a submodule could not be fetched", detail=detail, hint=hint) from None
