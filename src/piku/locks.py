"""Lock files (flock(2)): the kernel drops a lock when its holder dies."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from piku.errors import PikuError

patient = True  # whether a command waits for another one of the same app (extra `waiting`)


class LockHeld(PikuError):
    """Somebody else holds a lock for which we do not wait."""


@contextlib.contextmanager
def lock(
    path: Path, what: str, *, waiting: Callable[[str], None] | None = None, patient: bool = True
) -> Iterator[bool]:
    """Hold the lock file while the block runs.

    When another process holds it, `waiting` is called with who does and since when, and we wait; or
    LockHeld is raised when not `patient`. Yields whether the holder before was killed: one that
    raised PikuError has left everything in order.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", errors="replace") as file:
            _acquire(file, waiting, patient)
            if os.fstat(file.fileno()).st_nlink == 0:
                continue  # destroying an app removes its lock file
            killed = bool(file.read(1))
            since = time.strftime("%H:%M:%S")
            _replace(file, what and f"{what} (process {os.getpid()}, since {since})")
            try:
                yield killed
            except PikuError:
                _replace(file, "")
                raise
            _replace(file, "")
            return


def _acquire(file: TextIO, waiting: Callable[[str], None] | None, patient: bool) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = file.read() or "another command"
        file.seek(0)
        if not patient:
            raise LockHeld(f"{holder} is at work on it") from None
        if waiting is not None:
            waiting(holder)
        fcntl.flock(file, fcntl.LOCK_EX)


def _replace(file: TextIO, text: str) -> None:
    os.ftruncate(file.fileno(), 0)
    with contextlib.suppress(OSError):  # a full disk keeps nobody from what makes room
        os.pwrite(file.fileno(), text.encode(), 0)
