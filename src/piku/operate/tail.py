"""A log that is read as it grows, over what renames and removes it.

`piku logs` follows by it, and what ships lines elsewhere.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator

from piku.operate import log_timestamps

LONGEST = 1 << 20  # a line that is longer is given in pieces
_PATIENCE = 4  # looks for which the end of a line is waited for
_TURN = 0.2  # seconds that are left to whoever writes, to turn to another file
_AHEAD = 1.0  # seconds by which a line may seem to be younger than now: some times are whole ones
_NOW = 5.0  # seconds within which a time is that of now, though it lies before the last one: clocks are set

# When a line was written, as far as it is known, and the line without its newline.
Said = tuple[float | None, bytes]


class Tail:
    """An open file is read to its end even when it has been renamed or removed. Once its name belongs to
    another one, or to none, whoever writes may still be about to turn to that: a moment later, so do we.

    Its name tells whose log it is. `behind`: there is more to be read at once. `ended`: all was read of a
    file that is no more.
    """

    def __init__(self, path: str, handle: int, offset: int = 0) -> None:
        self.path, self.handle, self.offset = path, handle, offset
        self.ended = self.behind = False
        self._moved: float | None = None
        self._worker = log_timestamps.worker_of(os.path.basename(path))
        self._stamped = log_timestamps.is_stamped(self._worker)
        self._rest = b""
        self._quiet = 0
        self._shown = False  # the beginning of the line that goes on
        self._time: float | None = None  # the last that was believed

    def news(self, most: int = sys.maxsize) -> list[Said]:
        """The lines that have come since the last look, until `most` bytes have been read or more."""
        found = list(self._read(most))
        if self.behind:
            return found
        if self._moved is None:
            self._moved = time.monotonic() if self.is_elsewhere() else None
        elif time.monotonic() - self._moved >= _TURN:
            self._turn()
            return [*found, *(self._end() if self.ended else self._read(most))]
        return found or self._unfinished()

    def place(self) -> tuple[int, int]:
        """Which file is read, and up to where: from there on nothing has been given."""
        return os.fstat(self.handle).st_ino, max(0, self.offset - len(self._rest))

    def close(self) -> None:
        """Read no more."""
        if not self.ended:
            os.close(self.handle)
        self.ended = True

    def is_elsewhere(self) -> bool:
        """Whether the file has been renamed or removed."""
        try:
            return not os.path.samestat(os.stat(self.path), os.fstat(self.handle))
        except FileNotFoundError:
            return True

    def _turn(self) -> None:
        os.close(self.handle)
        self._moved = None
        try:
            self.handle, self.offset = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC), 0
        except FileNotFoundError:
            self.ended = True

    def _read(self, most: int) -> Iterator[Said]:
        until = self.offset + most
        self.behind = False
        while data := os.pread(self.handle, min(1 << 16, most), self.offset):
            self.offset += len(data)
            self._quiet = 0
            *lines, self._rest = (self._rest + data).split(b"\n")
            beginning = b""
            for line in lines:
                cut = log_timestamps.before_rotation(beginning + line)
                if cut is not None:
                    beginning = cut  # the line goes on in the next file
                    continue
                yield from self._line(beginning + line)
                beginning = b""
            self._rest = beginning + self._rest
            if len(self._rest) >= LONGEST:
                yield from self._end()
            if self.offset >= until:
                self.behind = True
                return

    def _line(self, raw: bytes) -> Iterator[Said]:
        text, when, then = log_timestamps.told(self._worker, raw)
        if when is not None:
            self._believe(when)
        # What comes without a stamp came with the one before; other lines are as new as they are read.
        said = self._time if when is not None or self._stamped else None
        if then is not None:
            self._believe(then)
        if text or not self._shown:
            yield said, text
        self._shown = False

    def _believe(self, claim: float) -> None:
        """Time goes on: what was written after another line is not older, and nothing is from tomorrow."""
        now = time.time()
        if claim <= now + _AHEAD and (
            self._time is None or claim >= self._time or now - claim < _NOW
        ):
            self._time = claim

    def _unfinished(self) -> list[Said]:
        """What there is of a line whose end does not come."""
        self._quiet += 1
        return self._end() if self._quiet == _PATIENCE else []

    def _end(self) -> list[Said]:
        rest, self._rest = self._rest, b""
        if not log_timestamps.told(self._worker, rest).text:
            return []
        found = list(self._line(rest))
        self._shown = True
        return found
