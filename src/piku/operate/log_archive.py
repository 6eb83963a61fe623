"""A process's `.old` log: what uWSGI moved there, and what past activations wrote, in the order in which they began.

It is read and written in pieces: such logs may be as large as `UWSGI_LOG_MAXSIZE` allows.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from piku import files
from piku.operate import log_timestamps
from piku.operate.log_timestamps import Section

_BEGINNING = 1 << 16  # bytes in which the first time of a log is looked for
_SLACK = 1.0  # seconds: some times are whole ones
_AT_ONCE = 1 << 20


def sections(handle: int, size: int) -> list[tuple[Section, int]]:
    """What each activation wrote in an open log, with its release; nothing when uWSGI alone wrote it."""
    if not size:
        return []
    with mmap.mmap(handle, size, prot=mmap.PROT_READ) as content:
        return log_timestamps.sections(content)


def moved_by(old: Path, worker: str, when: float) -> int:
    """The activation whose log uWSGI moved to `old` at this time; 0 when it has none for each activation.

    The log that it then began is younger than that. Of several, the oldest: those after it had not begun.
    """
    logs = sorted(_logs(old.parent, worker))
    younger = (number for number, log in logs if _begun(log, worker) >= when - _SLACK)
    return next(younger, logs[-1][0] if logs else 0)


def _logs(folder: Path, worker: str) -> Iterator[tuple[int, Path]]:
    for path in folder.glob(f"{worker}@*.log"):
        if match := re.fullmatch(r".*@([0-9]+)\.log", path.name):
            yield int(match[1]), path


def _begun(log: Path, worker: str) -> float:
    """When uWSGI began this file in place of one that it moved away; nothing when it is a start's first."""
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        lines = file.read(_BEGINNING).split(b"\n")
        if log_timestamps.is_start(lines[0]):
            return 0.0
        times = (log_timestamps.told(worker, line).when for line in lines)
        return next((time for time in times if time is not None), os.fstat(file.fileno()).st_mtime)
    return 0.0


# --- adding what is over --------------------------------------------------------------------------


@dataclass(frozen=True)
class _Piece:
    """A part of an open file, and whose it is."""

    handle: int
    section: Section
    release: int


def fold(
    old: Path, log: Path, activation: int, release_of: Callable[[int], int], limit: int
) -> bool:
    """Add the log of an activation that is over to `old`, of which about the last `limit` bytes are kept.

    False when uWSGI has moved another file there meanwhile: then nothing was done.
    """
    with log.open("rb") as file, _opened(old) as past:
        own = _whole(file.fileno(), activation)
        pieces = [*_past(old, past, release_of), _Piece(file.fileno(), own, release_of(activation))]
        pieces.sort(
            key=lambda piece: piece.section.activation
        )  # what was there before stays in front
        temporary = files.temporary_file(old.parent, old.name)
        try:
            _write(temporary, _last(pieces, limit))
            temporary.chmod(0o640)
            os.utime(temporary, (own.written, own.written))
            if not _is_still(old, past):
                return False
            temporary.replace(old)
        finally:
            temporary.unlink(missing_ok=True)
    return True


@contextlib.contextmanager
def _opened(old: Path) -> Iterator[int | None]:
    try:
        with old.open("rb") as file:
            yield file.fileno()
    except FileNotFoundError:
        yield None


def _is_still(old: Path, handle: int | None) -> bool:
    try:
        now = old.stat()
    except FileNotFoundError:
        return handle is None
    return handle is not None and os.path.samestat(now, os.fstat(handle))


def _past(old: Path, handle: int | None, release_of: Callable[[int], int]) -> list[_Piece]:
    size = 0 if handle is None else os.fstat(handle).st_size
    if handle is None or not size:
        return []
    if found := sections(handle, size):
        return [_Piece(handle, section, release) for section, release in found]
    activation = moved_by(old, log_timestamps.worker_of(old.name), os.fstat(handle).st_mtime)
    return [_Piece(handle, _whole(handle, activation), release_of(activation))]


def _whole(handle: int, activation: int) -> Section:
    status = os.fstat(handle)
    return Section(activation, status.st_mtime, 0, status.st_size)


def _last(pieces: list[_Piece], limit: int) -> list[_Piece]:
    """The pieces that make up the last `limit` bytes, the first of them from the beginning of a line."""
    kept: list[_Piece] = []
    for piece in reversed(pieces):
        size = piece.section.end - piece.section.start
        if size > limit:
            cut = _next_line(piece, piece.section.end - limit)
            kept.append(replace(piece, section=piece.section._replace(start=cut)))
            break
        kept.append(piece)
        limit -= size
    return kept[::-1]


def _next_line(piece: _Piece, place: int) -> int:
    if place >= piece.section.end:
        return place
    ahead = os.pread(piece.handle, min(_AT_ONCE, piece.section.end - place), place)
    return place + ahead.find(b"\n") + 1


def _write(place: Path, pieces: list[_Piece]) -> None:
    with place.open("wb", buffering=0) as file:
        for activation, group in groupby(pieces, key=lambda piece: piece.section.activation):
            whole = [piece for piece in group if piece.section.end > piece.section.start]
            if not whole:
                continue
            length = sum(piece.section.end - piece.section.start for piece in whole)
            written = max(piece.section.written for piece in whole)
            open_end = not _ends_a_line(whole[-1])  # for those who read the file as it is
            section = Section(activation, written, 0, length + open_end)
            file.write(log_timestamps.section_head(section, whole[0].release))
            for piece in whole:
                _copy(piece, file.fileno())
            file.write(b"\n" * open_end)


def _ends_a_line(piece: _Piece) -> bool:
    return os.pread(piece.handle, 1, piece.section.end - 1) == b"\n"


def _copy(piece: _Piece, target: int) -> None:
    """By the kernel, past our memory."""
    place = piece.section.start
    while place < piece.section.end:
        done = os.sendfile(target, piece.handle, place, min(_AT_ONCE, piece.section.end - place))
        if not done:
            raise OSError("a log became shorter while it was copied")
        place += done
