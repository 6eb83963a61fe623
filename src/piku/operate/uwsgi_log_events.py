"""What the log of a process that uWSGI serves itself says of its starts and ends.

The emperor knows nothing of a vassal between two attempts, nor of the worker processes below one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from piku.operate import log_timestamps

_START = b"*** Starting uWSGI "
_UP = b"\nspawned uWSGI master process"  # the app has been loaded
# The last line is the one that may not come into the log any more, which uWSGI reads from itself.
_ASKED = (b"\ngoodbye to uWSGI.", b"\nworkers have been inactive for more than ")
_NO_APP = b"GAME OVER ***"
_DEATH = b"\nDAMN ! worker "
# Of a longer log the end counts.
_MOST = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Said:
    """`failures` are the starts that ended without having been asked to, but for the last, and `deaths`
    those of worker processes, of which so many `in_a_row` without an answer in between.

    `failing` is one whose last start came to nothing; one that is still under way has not. With
    `failed_before` so did the one before it.
    """

    failures: int = 0
    deaths: int = 0
    deaths_in_a_row: int = 0
    failing: bool = False
    failed_before: bool = False


def read(log: Path) -> Said:
    """What there is to know of it."""
    return parse(_end_of(log))


def parse(text: bytes) -> Said:
    first, *starts = text.split(_START)
    last = starts[-1] if starts else first
    deaths = text.count(_DEATH)
    before = any(_UP not in start for start in starts[-2:-1])
    return Said(
        failures=sum(not any(words in start for words in _ASKED) for start in starts[:-1]),
        deaths=deaths,
        deaths_in_a_row=_in_a_row(last) if deaths else 0,
        failing=_NO_APP in last or (before and _UP not in last),
        failed_before=_NO_APP in last or before,
    )


def _in_a_row(text: bytes) -> int:
    found = 0
    for line in reversed(text.split(b"\n")):
        if log_timestamps.access_time(line, at_end=False) is not None:
            break
        found += line.startswith(_DEATH[1:])
    return found


def _end_of(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            start = max(0, os.fstat(file.fileno()).st_size - _MOST)
            return os.pread(file.fileno(), _MOST, start)
    except OSError:
        return b""
