"""The lines of logs, the last first, without reading more of a file than is asked for."""

from __future__ import annotations

import mmap
import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from piku.serve import logmarks, tail

_BLOCK = 1 << 16
LONGEST = tail.LONGEST  # a line that is longer is shown in pieces
_REMARK = 5000  # more than a path has


class Line(NamedTuple):
    """A line as the program wrote it, without its newline; the time is in seconds of the epoch."""

    time: float
    worker: str
    release: int | None
    text: bytes


@dataclass(frozen=True)
class Part:
    """A file that was opened, up to `end`: what is written later belongs to whoever follows."""

    handle: int
    end: int
    written: float  # when it was last written to
    release: int | None  # of what no mark in it assigns to another
    mixed: bool  # whether there may be such marks


def open_part(
    path: os.PathLike[str], release: int | None, *, whole_lines: bool = False, mixed: bool = False
) -> Part:
    """Open a log up to what it holds now, or up to its last whole line; raises FileNotFoundError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    status = os.fstat(handle)
    end = _last_newline(handle, status.st_size) if whole_lines else status.st_size
    return Part(handle, end, status.st_mtime, release, mixed)


def _last_newline(handle: int, end: int) -> int:
    """Where the last whole line ends."""
    while end > 0:
        start = max(0, end - _BLOCK)
        found = os.pread(handle, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def goes_on(part: Part) -> bool:
    """Whether this is a file that uWSGI moved away: what comes next is in another."""
    tail = os.pread(part.handle, _REMARK, max(0, part.end - _REMARK))
    return logmarks.before_rotation(tail) is not None


def lines(worker: str, parts: Iterable[Part]) -> Iterator[Line]:
    """The lines of a process from its parts, given the last first, from the last to the first.

    A line without a time of its own has that of the one it follows where a stamp says so (it came with
    it), and else that of the next one: an app's lines are written before the access line of the request.
    Times never rise on the way.
    """
    after = float("inf")
    waiting: list[tuple[int | None, bytes]] = []
    size = 0
    for written, release, raw in _whole(_raw(parts)):
        after = min(after, written)
        stamps = logmarks.stamps(raw)
        text = logmarks.plain(raw)
        time = stamps[0] if stamps else logmarks.said_time(text, at_end=worker == "nginx")
        waiting.append((release, text))
        size += len(raw)
        if time is None and size <= logmarks.READ_AT_ONCE:
            continue
        if stamps:
            after = min(after, stamps[-1])
        for number, line in waiting[:-1]:
            yield Line(after, worker, number, line)
        after = after if time is None else min(after, time)
        yield Line(after, worker, *waiting[-1])
        waiting, size = [], 0
    for number, line in waiting:
        yield Line(after, worker, number, line)


_Raw = tuple[float, int | None, bytes]


def _whole(raw: Iterable[_Raw]) -> Iterator[_Raw]:
    """Lines without uWSGI's remark on a rotation, which may have cut one of them in two."""
    held: _Raw | None = None
    for written, release, text in raw:
        beginning = logmarks.before_rotation(text)
        if beginning is None:
            if held is not None:
                yield held
            held = (written, release, text)
        elif beginning:
            held = (written, release, beginning + (held[2] if held is not None else b""))
    if held is not None:
        yield held


def _raw(parts: Iterable[Part]) -> Iterator[_Raw]:
    for part in parts:
        sections = _sections(part) if part.mixed and part.end else []
        starts = [start for start, _ in sections]
        for start, text in _backwards(part.handle, part.end):
            before = bisect_right(starts, start)  # a section begins in front of its first line
            yield part.written, sections[before - 1][1] if before else part.release, text


def _sections(part: Part) -> list[tuple[int, int]]:
    with mmap.mmap(part.handle, part.end, prot=mmap.PROT_READ) as content:
        return logmarks.sections(content)


def _backwards(handle: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The lines in front of `end`, the last first, each with where it begins."""
    if end <= 0:
        return
    if os.pread(handle, 1, end - 1) == b"\n":
        end -= 1
    position, rest = end, b""
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        rest = os.pread(handle, size, position) + rest
        start = position + len(rest) + 1
        rest, *found = rest.split(b"\n")
        for line in reversed(found):
            start -= len(line) + 1
            yield start, line
        if len(rest) >= LONGEST:
            yield position, rest
            rest = b""
    if rest or end == 0 or os.pread(handle, 1, 0) == b"\n":
        yield 0, rest
