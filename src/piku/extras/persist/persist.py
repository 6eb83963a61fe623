"""Moving persisted paths of a checkout to the data folder, and linking them."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from piku import files
from piku.app import checks
from piku.app.settings import Setting
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.paths import AppPaths


def paths(text: str) -> tuple[str, ...]:
    """One or more paths in the repository: none of them inside another one."""
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
        place = _place(app, checkout, path)
        if place.is_symlink() or not os.path.lexists(place):
            continue
        with _kept(app, path) as (folder, name):
            if _exists(name, folder):
                raise PikuError(
                    f"PIKU_PERSIST: {path} is both in the live release and in {app.data}",
                    hint="nothing was changed: keep the one you want, and move the other away",
                )
            _move(place, folder, name)
        place.symlink_to(app.data / path)


def link_paths(app: AppPaths, checkout: str, wanted: Iterable[str]) -> None:
    """Link these paths of a fresh checkout to the data folder.

    What the commit has there becomes the content, unless there is some already. A path that exists
    nowhere becomes a folder, or, when it has a suffix, a file for the app to make.
    """
    for path in wanted:
        place = _place(app, checkout, path)
        with _kept(app, path) as (folder, name):
            if os.path.lexists(place) and not _exists(name, folder):
                _move(place, folder, name)
            else:
                files.remove(place)
                place.parent.mkdir(parents=True, exist_ok=True)
                if not Path(name).suffix and not _exists(name, folder):
                    os.mkdir(name, dir_fd=folder)
        place.symlink_to(app.data / path)


@contextlib.contextmanager
def _kept(app: AppPaths, path: str) -> Iterator[tuple[int, str]]:
    """The folder in which a path is kept, made at need and opened, and its name in there.

    The app may put a link in the place of any folder of its data, at any moment: none is followed.
    """
    *parents, name = Path(path).parts
    app.data.mkdir(parents=True, exist_ok=True)
    kind = os.O_PATH | os.O_DIRECTORY
    folder = os.open(app.data, kind)
    try:
        for part in parents:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, dir_fd=folder)
            outer, folder = folder, os.open(part, kind | os.O_NOFOLLOW, dir_fd=folder)
            os.close(outer)
        yield folder, name
    except NotADirectoryError:
        raise PikuError(
            f"PIKU_PERSIST: a link or file in {app.data} is in the way of {path}",
            hint="move it away, or name the path without it",
        ) from None
    finally:
        os.close(folder)


def _exists(name: str, folder: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return bool(os.stat(name, dir_fd=folder, follow_symlinks=False))
    return False


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


def _move(place: Path, folder: int, name: str) -> None:
    try:
        os.rename(place, name, dst_dir_fd=folder)
    except OSError as error:
        raise PikuError(
            f"PIKU_PERSIST: {place.name} cannot be moved to the data folder: {error.strerror}",
            hint="on another file system, stop the app and copy it there by hand first",
        ) from None
