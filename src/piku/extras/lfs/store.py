"""The content of an app's LFS files, in its repository as git-lfs keeps it: named by its hash."""

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path

from piku import files
from piku.errors import PikuError
from piku.extras import shared
from piku.extras.lfs import pointers
from piku.extras.lfs.pointers import Pointer
from piku.paths import AppPaths, Paths

_DAY = 86400.0
_SPARE = 200 << 20  # bytes of the disk that no upload may take: the apps need them


def place(app: AppPaths, oid: str) -> Path:
    return app.repo / "lfs" / "objects" / oid[:2] / oid[2:4] / oid


def has(app: AppPaths, wanted: Pointer) -> bool:
    """Whether the content is here."""
    try:
        return wanted.size == 0 or place(app, wanted.oid).stat().st_size == wanted.size
    except FileNotFoundError:
        return False


def keep(app: AppPaths, wanted: Pointer, chunks: Iterable[bytes]) -> None:
    """Keep a content; raises PikuError, and keeps nothing, if it is not what the hash says."""
    target = place(app, wanted.oid)
    target.parent.mkdir(parents=True, exist_ok=True)
    if wanted.size > shutil.disk_usage(target.parent).free - _SPARE:
        raise PikuError(f"this server's disk has no room for {wanted.size} bytes")
    temporary, found, left = shared.temporary_file(target.parent, "upload"), hashlib.sha256(), 0
    try:
        left = wanted.size
        with temporary.open("wb") as file:
            for chunk in chunks:
                left -= len(chunk)
                if left < 0:
                    break
                found.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        if left or found.hexdigest() != wanted.oid:
            raise PikuError("the content that came is not the one that its hash names")
        temporary.chmod(0o644)
        temporary.rename(target)
    finally:
        files.remove(temporary)


def touch(app: AppPaths, wanted: Pointer) -> None:
    """Have a content count as new: a push that needs it has begun."""
    if wanted.size:
        os.utime(place(app, wanted.oid))


# --- what nothing names any more -----------------------------------------------------------------


def periodic(paths: Paths) -> None:
    """Once a day, remove content that no commit in the repository has named for a day."""
    for app in map(paths.app, paths.app_names()):
        stamp, now = app.repo / "lfs" / "pruned", time.time()
        # The app is being destroyed, or its repository is damaged: others are looked at.
        with contextlib.suppress(FileNotFoundError, PikuError):
            if stamp.parent.is_dir() and not (
                stamp.exists() and now - stamp.stat().st_mtime < _DAY
            ):
                stamp.touch()
                prune(app, now - _DAY)


def prune(app: AppPaths, before: float) -> None:
    """Remove unfinished uploads, and the content older than `before` that no commit names: branches
    are rewritten and deleted, and releases are forgotten."""
    folders = list((app.repo / "lfs" / "objects").glob("*/*"))
    files.sweep(*folders)
    named = {pointer.oid for pointer in pointers.of_history(app.repo)}
    # What a push needs is touched before its commits come.
    for path in (path for folder in folders for path in folder.iterdir()):
        finished = not path.name.startswith(".")
        if finished and path.name not in named and path.stat().st_mtime < before:
            files.remove(path)
