"""Lock files (flock(2)): the kernel drops a lock when its holder dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from piku.errors import PikuError


class LockHeld(PikuError):
    """Somebody else holds a lock for which we do not wait."""


@contextlib.contextmanager
def lock(
    path: Path, what: str, *, waiting: Callable[[str], None] | None = None, patient: bool = True
) -> Iterator[bool]:
    """Hold the lock file while the block runs.

    When another process holds it, `waiting` is called with who does and since when, and we wait; or
    LockHeld is raised when not `patient`. Yields whether the holder before was killed.
    """
    with contextlib.ExitStack() as stack:
        handle = stack.enter_context(_lock_file(path))
        while not _acquire(handle, path, waiting, patient):
            stack.close()
            handle = stack.enter_context(_lock_file(path))
        killed = os.fstat(handle).st_size > 0
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()} {time.time():.0f} {what}".encode(errors="replace"), 0)
        yield killed
        os.ftruncate(handle, 0)


def _acquire(handle: int, path: Path, waiting: Callable[[str], None] | None, patient: bool) -> bool:
    """Lock the file; returns whether it still is the one at this path: destroying an app removes
    it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if not patient:
            raise LockHeld(f"{_holder(handle)} is at work on it") from None
        if waiting is not None:
            waiting(_holder(handle))
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def try_lock(path: Path) -> Iterator[bool]:
    """Yield whether nobody held the lock file; while the block runs, nobody else then can."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # nobody ever has
        yield True
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


@contextlib.contextmanager
def _lock_file(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)


def _holder(handle: int) -> str:
    words = os.pread(handle, 500, 0).decode(errors="replace").split(" ", 2)
    pid, since, what = (*words, "", "", "")[:3]
    age = max(0, round(time.time() - float(since))) if since.replace(".", "").isdigit() else 0
    return f"{what or 'another command'} (process {pid or '?'}, since {age} s)"
