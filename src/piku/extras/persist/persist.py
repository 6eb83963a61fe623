"""Moving persisted paths of a checkout to the data folder, and linking them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from piku import files
from piku.app import checks
from piku.app.settings import Setting
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.paths import AppPaths


def paths(text: str) -> tuple[str, ...]:
    """Paths in the repository, several: none of them inside another one."""
    found = tuple(dict.fromkeys(map(checks.inner_path, checks.parts(text))))
    for path in found:
        if path.startswith(tuple(f"{other}/" for other in found)):
            raise ValueError(f"{checks.quoted(path)} is already part of another of these paths")
    return found


PERSIST = Setting(
    name="PIKU_PERSIST",
    check=paths,
    doc="Paths, separated by commas, kept in the data folder and linked into each release.",
)
SETTINGS: tuple[Setting[Any], ...] = (PERSIST,)


def move(deployment: Deployment, live_checkout: str) -> None:
    """Before another checkout takes its place, move what the live release has there."""
    move_paths(deployment.app, live_checkout, PERSIST.read(deployment.values))


def link(deployment: Deployment) -> None:
    """Link the persisted paths into a fresh checkout."""
    link_paths(deployment.app, deployment.release.checkout, PERSIST.read(deployment.values))


def move_paths(app: AppPaths, checkout: str, wanted: Iterable[str]) -> None:
    """Move these paths of the live checkout to the data folder, leaving links.

    A program that has one of the files open does not notice. Raises PikuError rather than choose
    between two versions.
    """
    for path in wanted:
        place, kept = _place(app, checkout, path), _kept(app, path)
        if place.is_symlink() or not os.path.lexists(place):
            continue
        if os.path.lexists(kept):
            raise PikuError(
                f"PIKU_PERSIST: {path} is both in the live release and in {app.data}",
                hint="nothing was changed: keep the one you want, and move the other away",
            )
        _move_and_link(place, kept)


def link_paths(app: AppPaths, checkout: str, wanted: Iterable[str]) -> None:
    """Link these paths of a fresh checkout to the data folder.

    What the commit has there becomes the content, unless there is some already. A path that exists
    nowhere becomes a folder, or, when it has a suffix, a file for the app to make.
    """
    for path in wanted:
        place, kept = _place(app, checkout, path), _kept(app, path)
        if os.path.lexists(place) and not os.path.lexists(kept):
            _move_and_link(place, kept)
            continue
        files.remove(place)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(kept):
            (kept.parent if kept.suffix else kept).mkdir(parents=True, exist_ok=True)
        place.symlink_to(kept)


def _kept(app: AppPaths, path: str) -> Path:
    """Where a path is in the data folder; raises PikuError when a link there leads out of it."""
    kept = app.data / path
    if not kept.parent.resolve().is_relative_to(app.data.resolve()):
        raise PikuError(
            f"PIKU_PERSIST: a link in {app.data} leads {path} out of it",
            hint=f"remove the link: {kept.parent}",
        )
    return kept


def _place(app: AppPaths, checkout: str, path: str) -> Path:
    """Where a path is in a checkout; raises PikuError when a link on the way leads out of it."""
    place, code = app.releases / checkout / path, app.code(checkout).resolve()
    parent = place.parent.resolve()
    if not parent.is_relative_to(code) or parent.is_relative_to(code / ".git"):
        raise PikuError(
            f"PIKU_PERSIST: {path} leads outside the app's folder, to {parent}",
            hint="name the path without links, or remove the link from the repository",
        )
    return place


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
