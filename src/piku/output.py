"""What a person sees of a deploy: Heroku's shapes, secrets masked, kept in a log."""

from __future__ import annotations

import contextlib
import copy
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO

from piku.errors import PikuError

_SECRET_NAME = re.compile(
    r"(?i)secret|passw|passphrase|token|credential|private|auth|api_?key|dsn|(^|_)key($|_)"
)
_SECRET_VALUE = re.compile(r"://[^/\s@]*:[^/\s@]+@")  # an address with a password in it
# What a terminal would obey, with the colours and the end of a DOS line, which may stay.
_CONTROL = re.compile("(\x1b\\[[0-9;:]{0,60}m|\r\\Z)|[\x00-\x08\x0a-\x1f\x7f-\x9f\udc80-\udc9f]")
MASK = "********"
_WIDTH = 400  # characters of a line that are shown; the log has it whole


def is_secret(name: str, value: str) -> bool:
    """Whether a setting looks like nobody else's business, by its name or its value."""
    return bool(value and (_SECRET_NAME.search(name) or _SECRET_VALUE.search(value)))


def printable(text: str) -> str:
    """A line as a terminal may get it: colours stay, other control characters are spelled out."""
    return _CONTROL.sub(lambda found: found[1] or f"\\x{ord(found[0]) & 0xFF:02x}", text)


def plain(text: str) -> str:
    """The same without colours: a name, or a cell of a table."""
    return printable(text).replace("\x1b", r"\x1b").rstrip("\r")


class Output:
    """Steps, details and failures of one command.

    A reader that goes away does not stop us: from then on only the log is written.
    """

    def __init__(self, stream: TextIO | None = None, log: Path | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._log = log
        self._secrets: tuple[str, ...] = ()
        self._gone = False

    def hide(self, settings: Mapping[str, str]) -> None:
        """From now on print a mask in place of every secret value of `settings`."""
        secret = (value for name, value in settings.items() if is_secret(name, value))
        lines = {line for value in secret for line in value.splitlines() if len(line) >= 6}
        self._secrets = tuple(sorted(lines, key=len, reverse=True))

    def on(self, stream: TextIO) -> Output:
        """The same, with the same secrets and log, on another stream."""
        other = copy.copy(self)
        other._stream = stream
        return other

    def step(self, text: str) -> None:
        self._write(f"-----> {printable(text)}")

    def detail(self, text: str, *, kept: bool = True, shown: bool = True) -> None:
        """A line for the log, for the reader, or for both."""
        self._write(f"       {text}", kept=kept, shown=shown)

    def warn(self, text: str) -> None:
        self._write(f" !     {printable(text)}")

    def error(self, error: PikuError) -> None:
        """An error with its evidence first and its hint last."""
        for line in error.detail:
            self.detail(line)
        for line in (error.message, *error.hint.splitlines()):
            self.warn(line)

    def _write(self, text: str, *, kept: bool = True, shown: bool = True) -> None:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        if kept and self._log is not None:
            self._keep(text, self._log)
        if not shown or self._gone:
            return
        try:
            if self._log is not None and len(text) > _WIDTH:
                text = f"{text[:_WIDTH]}… {len(text) - _WIDTH} more characters in the build log"
            print(printable(text), file=self._stream, flush=True)
        except (OSError, ValueError):
            self._gone = True
            silence(self._stream)

    def _keep(self, text: str, log: Path) -> None:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            with open(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        except OSError:
            self._log = None  # a full disk must not hide the failure that follows from it


def silence(stream: TextIO) -> None:
    """Drop what the stream still holds for a reader that is gone: at exit it would fail again."""
    with contextlib.suppress(OSError, ValueError), open(os.devnull, "w") as null:
        os.dup2(null.fileno(), stream.fileno())


def table(rows: Iterable[Iterable[str]]) -> list[str]:
    """Rows as lines with aligned columns, as wide as the terminal if there is one."""
    cells = [[plain(cell) for cell in row] for row in rows]
    sizes = [max(map(len, column)) for column in zip(*cells, strict=True)]
    padded = ([cell.ljust(size) for cell, size in zip(row, sizes, strict=True)] for row in cells)
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    return ["  ".join(row).rstrip()[:room] for row in padded]


def duration(seconds: float) -> str:
    """A length of time in the largest unit that reads well: 4s, 12m, 3h, 2d."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds)}s"
