"""The folder of a release: checking a commit out, and minding what an app leaves beside its code."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from piku import files as files_module
from piku import subprocesses
from piku.deploy import submodules
from piku.deploy.revision import Source, built_marker
from piku.errors import PikuError
from piku.paths import AppPaths

# Folders and files that a program makes again by itself.
_CACHES = frozenset(
    ("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".cache", ".cpcache", ".git", ".gradle",
     "node_modules", ".venv")
)  # fmt: skip
_TRANSIENT = (".pyc", ".pyo", ".pid", ".sock", ".swp")


def exists(app: AppPaths, source: Source) -> bool:
    """Whether this commit is checked out and built already."""
    return built_marker(app, source.checkout).exists() and (app.releases / source.checkout).is_dir()


def create(app: AppPaths, source: Source) -> None:
    """Check the commit out, submodules included, into a folder that appears whole or not at all."""
    place = app.releases / source.checkout
    temporary = app.releases / ".checkout.tmp"
    files_module.remove(temporary)
    files_module.remove(place)
    # `--shared`: the objects stay in the app's repository, where a reference keeps them alive.
    subprocesses.run(
        ["git", "clone", "--quiet", "--shared", "--no-checkout", str(app.repo), str(temporary)]
    )
    subprocesses.run(
        ["git", "-C", str(temporary), "checkout", "--quiet", "--force", "--detach", source.commit]
    )
    submodules.check_out(temporary, app.cache / "submodules")
    os.rename(temporary, place)


# --- what a build left, and what an app wrote since ----------------------------------------------


def mark_built(app: AppPaths, checkout: str, environment: str) -> None:
    """Record that the checkout is built, and which files are in it beside the commit's."""
    files = {
        path: _state(app.releases / checkout / path) for path in _beside(app.releases / checkout)
    }
    files_module.write_json(
        built_marker(app, checkout), {"environment": environment, "files": files}
    )


def left_beside(app: AppPaths, checkout: str, persisted: Iterable[str]) -> list[str]:
    """The files that the app wrote into its checkout since the build: another release hides them."""
    marker = files_module.read_json(built_marker(app, checkout))
    folder = app.releases / checkout
    if marker is None or not folder.is_dir():
        return []
    known: Mapping[str, list[int]] = marker["files"]
    kept = tuple(persisted)
    return [
        path
        for path in _beside(folder)
        if (now := _state(folder / path))
        and known.get(path) != now
        and not any(_within(path, place) for place in kept)
    ]


def _beside(folder: Path) -> list[str]:
    """Files that git does not track, ignored ones too, and tracked ones that were changed."""
    listing = subprocesses.run(
        ["git", "-C", str(folder), "status", "--porcelain", "-z", "--no-renames",
         "--untracked-files=all", "--ignored=traditional"]
    )  # fmt: skip
    paths = (entry[3:] for entry in listing.split("\0") if entry)
    return [
        path
        for path in paths
        if not _CACHES.intersection(path.split("/")) and not path.endswith(_TRANSIENT)
    ]


def _state(path: Path) -> list[int]:
    try:
        found = path.lstat()
    except OSError:
        return []
    return [found.st_mtime_ns, found.st_size]


def _within(path: str, place: str) -> bool:
    return path.rstrip("/") == place or path.startswith(f"{place}/")


def refuse_to_hide(app: AppPaths, live_checkout: str, persisted: Iterable[str]) -> None:
    """Raise PikuError when files that the live release wrote would not be in the next one."""
    names = left_beside(app, live_checkout, persisted)
    if not names:
        return
    shown = names[:10] + ([f"… and {len(names) - 10} more"] if len(names) > 10 else [])
    top = sorted({name.split("/")[0] if len(names) > 3 else name.rstrip("/") for name in names})[:4]
    raise PikuError(
        f"{app.name} wrote files beside its code, which the next release would not have",
        detail=tuple(shown),
        hint=f"keep them for every release: piku config:set {app.name} PIKU_PERSIST={','.join(top)}"
        f" — or leave them behind: piku deploy {app.name} --leave-behind",
    )


# --- PIKU_PERSIST --------------------------------------------------------------------------------


def move_persisted(app: AppPaths, folder: Path, paths: Iterable[str]) -> None:
    """Move these paths of the live checkout to the data folder, leaving links.

    A program that has one of the files open does not notice. Raises PikuError rather than choose
    between two versions.
    """
    for path in paths:
        place, kept = folder / path, app.data / path
        if place.is_symlink() or not os.path.lexists(place):
            continue
        if os.path.lexists(kept):
            raise PikuError(
                f"PIKU_PERSIST: {path} is both in the live release and in {app.data}",
                hint="nothing was changed: keep the one you want, and move the other away",
            )
        _move_and_link(place, kept)


def link_persisted(app: AppPaths, folder: Path, paths: Iterable[str]) -> None:
    """Link the persisted paths into a fresh checkout.

    What the commit itself has there is the first content, if there is none yet. A path that exists
    nowhere becomes a folder, or when it has an ending a file for the app to make.
    """
    for path in paths:
        place, kept = folder / path, app.data / path
        if place.is_symlink() and os.readlink(place) == str(kept):
            continue
        if os.path.lexists(place) and not os.path.lexists(kept):
            _move_and_link(place, kept)
            continue
        files_module.remove(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(kept) or Path(path).suffix:
            kept.parent.mkdir(parents=True, exist_ok=True)
        else:
            kept.mkdir(parents=True)
        place.symlink_to(kept)


def _move_and_link(place: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(place, kept)
    except OSError as error:
        raise PikuError(
            f"PIKU_PERSIST: {place.name} cannot be moved to {kept.parent}: {error.strerror}",
            hint="on another file system, stop the app and copy it there by hand first",
        ) from None
    place.symlink_to(kept)
