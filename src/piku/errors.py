"""The one error that a user is meant to read."""

from __future__ import annotations

import errno

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_IN_THE_WAY = (errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.ELOOP)


class PikuError(Exception):
    """Something the caller can understand and act on; printed once, by the command line.

    `message` is one line that says what is wrong, `hint` what to do about it, `detail` lines of
    evidence (a program's last output). `code` is the exit code: 1 for the app or its settings,
    2 for usage.
    """

    def __init__(
        self, message: str, *, hint: str = "", detail: tuple[str, ...] = (), code: int = 1
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail
        self.code = code
        self.shown = False  # whether the caller has read it already

    def within(self, what: str, hint: str) -> PikuError:
        """The same error as a part of `what`, with one more line of hints."""
        hints = "\n".join(filter(None, (self.hint, hint)))
        return PikuError(f"{what}{self.message}", hint=hints, detail=self.detail)


def of_system(error: OSError) -> PikuError | None:
    """What a user can do about an error of the system; None for one that is a bug."""
    place, what = error.filename2 or error.filename, error.strerror
    if error.errno in _NO_SPACE:
        hint = "free some space on this server and try again; the live release still runs"
        return PikuError(f"cannot write: {what}{f': {place}' if place else ''}", hint=hint)
    if isinstance(error, PermissionError):
        hint = "everything below the piku root must belong to the user that runs piku"
        return PikuError(f"{place}: permission denied", hint=hint)
    found = PikuError(f"{place}: {what}", hint="move it away; piku will recreate it")
    return found if error.errno in _IN_THE_WAY else None


def of(error: Exception) -> PikuError:
    """Any error as one to print, where others still have to be served."""
    if isinstance(error, PikuError):
        return error
    found = of_system(error) if isinstance(error, OSError) else None
    return found or PikuError(f"{type(error).__name__}: {error}"[:300])
