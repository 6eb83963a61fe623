"""Keeps the paths a remote client names inside the piku root."""

from __future__ import annotations

import os
from pathlib import Path

from piku.errors import PikuError

_LONGEST = 4096  # characters; Linux's PATH_MAX, so nothing usable is lost and no walk is unbounded


def confine(root: Path, text: str, *, follow: bool = True) -> Path:
    """The absolute path `text` names, proven to lie inside `root`; it need not exist.

    Relative text is relative to the root; absolute text must already lead inside it. With `follow` the
    answer holds no symbolic link at all; without it the last part may be one, as lstat and unlink want.
    A trailing slash follows too, as in POSIX. Raises PikuError (code 2) for any path that leads outside.
    """
    if "\0" in text or len(text) > _LONGEST:
        raise PikuError(f"{text[:60]!r} cannot be a path", code=2)
    top = _real(str(root), text)
    asked = text if text.startswith("/") else f"{top}/{text}"
    folder, name = os.path.split(asked)  # not Path, which would drop a last "/" or "."
    if follow or name in ("", ".", ".."):
        found = _real(asked, text)
    else:
        found = str(Path(_real(folder, text), name))
        # The root's own parent is outside, and the root itself may be a link: both still name the root.
        if not _within(top, found) and _real(asked, text) == top:
            found = top
    if not _within(top, found):
        raise PikuError(
            f"{text!r} is outside {top}", hint="name a path relative to the piku root", code=2
        )
    return Path(found)


def _within(top: str, path: str) -> bool:
    return Path(path).is_relative_to(top)


def _real(path: str, text: str) -> str:
    """`path` without links; `text` is what to call it when that cannot be worked out."""
    try:
        found = os.path.realpath(path)
        # At a loop of links realpath gives the rest back unresolved, "..", links and all: only an answer
        # that is its own realpath is one the kernel reads the same way.
        settled = os.path.realpath(found) == found
    except (OSError, RecursionError):
        settled = False
    if not settled:
        raise PikuError(f"{text!r} goes through links that cannot be resolved", code=2)
    return found
