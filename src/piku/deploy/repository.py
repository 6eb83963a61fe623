"""Stale locks, which git leaves in an app's repository when it is killed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from piku import files
from piku.paths import AppPaths


def remove_stale_locks(app: AppPaths) -> None:
    """Remove git's lock files, unless a program is at work in the repository.

    git leaves them to people, because it cannot know who holds one. Whatever changes the repository
    runs in its folder: a push, its hook, and piku's own `git -C`.
    """
    # References are few; for what is below `objects`, git does not wait.
    found = [*app.repo.glob("*.lock"), *(app.repo / "refs").rglob("*.lock")]
    if found and not _is_in_use(app.repo):
        for place in found:
            files.remove(place)


def _is_in_use(folder: Path) -> bool:
    target = os.path.realpath(folder)
    for process in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):  # it has ended, or is another user's
            if os.readlink(process) == target:
                return True
    return False
