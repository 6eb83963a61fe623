"""Copies between a release's checkout and its build folder: `mirror.py sync FROM TO`, or `take FROM TO PATTERN…`.

A program of its own, started by builds (see `stable`): it imports nothing of piku's.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path


def sync(source: Path, target: Path) -> None:
    """Give `target` the files of `source`. One that is the same already is not touched, its time neither.

    What an earlier sync brought and `source` no longer has is removed; what a build made there stays.
    """
    notes = target.with_name(f"{target.name}.files")
    files = list(_files(source))
    before = notes.read_text(errors="surrogateescape").split("\0") if notes.exists() else []
    target.mkdir(parents=True, exist_ok=True)
    # Interrupted, the next sync knows all that this one may have brought.
    _note(notes, {*before, *files})
    for name in set(before) - set(files):
        _remove(target / name)
    for name in files:
        _copy(source / name, target / name)
    _note(notes, set(files))


def take(source: Path, target: Path, patterns: list[str]) -> None:
    """Move the files that match from a build folder to the release: copied, never linked.

    A link would let the next build write into a release that is live. Moved, because a program that
    is no longer made must not reach a later release.
    """
    for path in sorted({path for pattern in patterns for path in source.glob(pattern)}):
        if path.is_file() and not path.is_symlink():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            shutil.copy(path, place)
            path.unlink()


def _files(folder: Path) -> Iterator[str]:
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        folders[:] = [name for name in folders if name not in links and name != ".git"]
        for name in (*links, *names):
            if name != ".git":  # a submodule's is a file
                yield os.path.relpath(os.path.join(parent, name), folder)


def _copy(source: Path, target: Path) -> None:
    if _same(source, target):
        return
    for parent in target.parents:  # what was a file or a link may be a folder now
        if parent.is_symlink() or parent.is_file():
            parent.unlink()
    _remove(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target, follow_symlinks=False)  # its time is now: compilers look at that


def _same(source: Path, target: Path) -> bool:
    try:
        ours, theirs = source.lstat(), target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if stat.S_ISLNK(ours.st_mode) or stat.S_ISLNK(theirs.st_mode):
        return ours.st_mode == theirs.st_mode and os.readlink(source) == os.readlink(target)
    return ours.st_mode == theirs.st_mode and filecmp.cmp(source, target, shallow=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def _note(notes: Path, names: set[str]) -> None:
    temporary = notes.with_suffix(".tmp")
    temporary.write_text("\0".join(sorted(names)), errors="surrogateescape")
    temporary.replace(notes)


if __name__ == "__main__":
    what, source, target, *patterns = sys.argv[1:]
    if what == "sync":
        sync(Path(source), Path(target))
    else:
        take(Path(source), Path(target), patterns)
