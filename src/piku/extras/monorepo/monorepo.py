"""Whether a push concerns an app, and which folders of a repository could be one."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from piku import dotenv, subprocesses
from piku.app import checks, settings, tree
from piku.app.settings import Setting
from piku.app.tree import Tree
from piku.deploy import releases, revision
from piku.errors import PikuError
from piku.paths import AppPaths, Paths


def globs(text: str) -> tuple[str, ...]:
    """One or more globs of paths from the top of the repository: as in .gitignore, without `!`."""
    found = tuple(part.lstrip("/") for part in checks.parts(text))
    if any(part.startswith((":", "!")) or ".." in part.split("/") for part in found):
        raise ValueError("a glob is a path in the repository, such as shared/** or *.lock")
    return found


WATCH = Setting(
    name="PIKU_WATCH",
    check=globs,
    doc="A push deploys if it changes these paths from the top, such as backend,shared/**/*.py;"
    " by default any in the app's folder.",
)
SETTINGS = (WATCH,)


def no_procfile(app: AppPaths, listing: Tree, _settings: Mapping[str, str]) -> str:
    """Raise PikuError that names the folders that have a Procfile, or lacks the app's folder."""
    if listing.folder and all(path.startswith("../") for path in listing.files):
        raise PikuError(
            f"PIKU_APP_DIR={listing.folder}: there is no such folder in this commit",
            hint="name another one, or unset it for the top folder",
        )
    found = [path.removesuffix("/Procfile") for path in listing.files if path.endswith("/Procfile")]
    found = sorted(found, key=lambda folder: (folder.count("/"), folder))[:3]
    if listing.folder or not found:
        return ""
    raise PikuError(
        f"there is no Procfile in the top folder of this commit, but in {', '.join(found)}",
        hint=f"for the app in {found[0]}: piku config:set {app.name} PIKU_APP_DIR={found[0]}",
    )


def unchanged(paths: Paths, app: AppPaths, commit: str) -> str:
    """Why a push of this commit deploys nothing: what the app depends on is as in the last release.

    Empty for a first release, after one that failed, and when the app is stopped.
    """
    own, live = dotenv.load(app.settings), releases.live(app)
    last = releases.newest(app)
    if live is None or live.stopped or last is None or not last.usable:
        return ""
    try:
        values = revision.layered(paths, own, tree.of_commit(app.repo, commit))
        folder, watched = settings.APP_DIR.read(values), WATCH.read(values)
        if not (folder or watched) or _differs(
            app, last.commit, commit, [*(watched or (folder,)), *_settings(folder)]
        ):
            return ""
        now = revision.read(paths, app, commit, own, checkout=last.checkout)
    except PikuError:
        return ""  # the deploy says it
    # Files outside of the folder may go into its environment: those of a workspace, for example.
    if not watched and now.environment != last.environment:
        return ""
    what = ", ".join(watched) or folder
    return f"Nothing in {what} has changed since v{last.number}: {app.name} stays as it is"


def _settings(folder: str) -> list[str]:
    """The ENV files of an app in this folder."""
    return [str(parent / "ENV") for parent in Path(folder, "ENV").parents]


def _differs(app: AppPaths, old: str, new: str, watched: Iterable[str]) -> bool:
    """Whether one of these paths differs between two commits."""
    specs = (f":(glob){path}" for path in watched)
    diff = ["git", "-C", str(app.repo), "diff", "--quiet", old, new, "--", *specs]
    return not subprocesses.succeeds(diff)
