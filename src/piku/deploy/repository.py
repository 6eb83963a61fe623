"""What git leaves in an app's repository when it is killed or the power goes: locks that nobody holds.

git itself leaves such a lock to people, for it cannot know who holds it. We can: what changes a repository is
either part of a push, all of which holds a lock file of ours, or does so with the app's lock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from piku import files, locks
from piku.paths import AppPaths

_PUSHES = "pushes"  # below the repository


@contextlib.contextmanager
def push(app: AppPaths) -> Iterator[int]:
    """Hold what tells others that a push is at work; gives the handle that git is to inherit."""
    with locks.try_lock(app.lock) as nobody:
        if nobody:
            forget_locks(app)
    with locks.shared_lock(app.repo / _PUSHES) as handle:
        yield handle


def forget_locks(app: AppPaths) -> None:
    """Remove git's locks, unless a push is at work; the caller holds the app's lock."""
    if not app.repo.is_dir():
        return
    with locks.try_lock(app.repo / _PUSHES) as nobody:
        if nobody:
            # Refs are few; below `objects`, git waits for nobody.
            for place in (*app.repo.glob("*.lock"), *(app.repo / "refs").rglob("*.lock")):
                files.remove(place)
