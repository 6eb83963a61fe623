"""The one error that a user is meant to read."""

from __future__ import annotations


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
