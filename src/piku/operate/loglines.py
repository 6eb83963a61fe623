"""The lines of logs, the last first, without reading more of a file than is asked for."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import NamedTuple

from piku.operate import log_archive, log_timestamps, tail

_BLOCK = 1 << 16
LONGEST = tail.LONGEST  # a line that is longer is shown in pieces
# How many lines are compared with as many in front of them, to see which of their times can be true: so many
# bytes with so many times, at most.
_GROUP, _TIMES, _LARGEST = 1 << 16, 16, 1 << 20
_OVERHEAD = 64  # bytes for which a line counts beside its text: there may be many empty ones
_SLACK = 1.0  # seconds: some times are whole ones


class Place(NamedTuple):
    """Where a line begins: in which part of a stream (0 is the last, -1 the one before), and at which byte."""

    part: int
    start: int


class Line(NamedTuple):
    """A line as the program wrote it, without its newline; the time is in seconds of the epoch."""

    time: float
    worker: str
    release: int | None
    text: bytes
    place: Place = Place(0, 0)


@dataclass(frozen=True)
class Part:
    """What one activation wrote to an open file, up to `end`: what is written later belongs to whoever follows."""

    handle: int
    end: int
    written: float  # when it was last written to
    release: int | None
    start: int = 0
    activation: int = 0


def open_part(
    path: os.PathLike[str], release: int | None, activation: int = 0, *, whole_lines: bool = False
) -> Part:
    """Open a log up to what it holds now, or up to its last whole line; raises FileNotFoundError."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    status = os.fstat(handle)
    end = _last_newline(handle, status.st_size) if whole_lines else status.st_size
    return Part(handle, end, status.st_mtime, release, activation=activation)


def open_past(path: os.PathLike[str]) -> list[Part]:
    """Open what several activations may have written; of a file that uWSGI alone wrote, activation and
    release are not known. Raises FileNotFoundError."""
    whole = open_part(path, None)
    return [
        Part(whole.handle, section.end, section.written, release, section.start, section.activation)
        for section, release in log_archive.sections(whole.handle, whole.end)
    ] or [whole]


def _last_newline(handle: int, end: int) -> int:
    """Where the last whole line ends."""
    while end > 0:
        start = max(0, end - _BLOCK)
        found = os.pread(handle, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def lines(
    worker: str, parts: Sequence[Part], before: Place | None = None, after: float = float("inf")
) -> Iterator[Line]:
    """The lines of a process from its parts, given the last first, from the last to the first.

    `before` is where to begin, by default at the end; then `after` is the time of the line there.

    A line without a time of its own has that of the one it follows where a stamp says so (it came with
    it), and else that of the next one: an app's lines are written before the access line of the request.
    Times never rise on the way: what a line says of that is believed if most of those around it agree.
    """
    stamped = log_timestamps.is_stamped(worker)
    newer: list[_Said] = []
    for older in chain(_groups(worker, _whole(_raw(parts, before))), [[]]):
        if newer:
            times = _plain_times(older, newer, after)
            times = times or _times([*older, *newer], after, stamped=stamped)[len(older) :]
            for said, time in zip(reversed(newer), reversed(times), strict=True):
                yield Line(time, worker, said.part.release, said.text, said.place)
            after = times[0]
        newer = older


_Raw = tuple[Place, Part, bytes]


class _Said(NamedTuple):
    place: Place
    part: Part
    text: bytes
    when: float | None
    then: float | None


def _groups(worker: str, raw: Iterable[_Raw]) -> Iterator[list[_Said]]:
    """Lines that are looked at together, in the order in which they were written; the last group first."""
    group: list[_Said] = []
    size = times = 0
    for place, part, text in raw:
        said = _Said(place, part, *log_timestamps.told(worker, text))
        group.append(said)
        size += len(text) + _OVERHEAD
        times += said.when is not None
        if size >= (_GROUP if times >= _TIMES else _LARGEST):
            yield group[::-1]
            group, size, times = [], 0, 0
    yield group[::-1]


def _raw(parts: Sequence[Part], before: Place | None) -> Iterator[_Raw]:
    for number, part in enumerate(parts):
        if before is None or -number <= before.part:
            end = before.start if before is not None and -number == before.part else part.end
            for start, text in _backwards(part.handle, part.start, end):
                yield Place(-number, start), part, text


def _whole(raw: Iterable[_Raw]) -> Iterator[_Raw]:
    """Lines without uWSGI's remark on a rotation, which may have cut one of them in two."""
    held: _Raw | None = None
    for place, part, text in raw:
        beginning = log_timestamps.before_rotation(text)
        if beginning is None:
            if held is not None:
                yield held
            held = (place, part, text)
        elif beginning:
            held = (place, part, beginning + (held[2] if held is not None else b""))
    if held is not None:
        yield held


def _backwards(handle: int, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The lines between two places, the last first, each with where it begins."""
    if end <= begin:
        return
    if os.pread(handle, 1, end - 1) == b"\n":
        end -= 1
    position, rest = end, b""
    while position > begin:
        size = min(_BLOCK, position - begin)
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
    if rest or end == begin or os.pread(handle, 1, begin) == b"\n":
        yield begin, rest


# --- when they were written ----------------------------------------------------------------------


def _plain_times(older: Sequence[_Said], newer: Sequence[_Said], after: float) -> list[float]:
    """The times of lines that all have one, in order, as those of most daemons; none where there is a doubt."""
    times = [said.when for said in newer if said.when is not None]
    before = next(
        (said.when for said in reversed(older) if said.when is not None), times[0] if times else 0
    )
    first, last = newer[0], newer[-1]
    if len(times) < len(newer) or first.part is not last.part or times != sorted(times):
        return []
    return times if before <= times[0] and times[-1] <= min(after, last.part.written) else []


def _times(window: Sequence[_Said], after: float, *, stamped: bool) -> list[float]:
    """When each of these lines was written, none later than `after`; rising."""
    bounds = [min(after, said.part.written) for said in window]
    claims = (said.when for said in window)
    believed = _rising(
        [
            None if claim is None or claim > bound + _SLACK else min(claim, bound)
            for claim, bound in zip(claims, bounds, strict=True)
        ]
    )
    following = _following(believed, after)
    found: list[float] = []
    last: float | None = None
    for said, own, then, bound in zip(window, believed, following, bounds, strict=True):
        if own is not None:
            last = own
        elif last is None or not stamped:
            last = min(then, bound)
        found.append(last)
        # Within a line others can put what they like, so that only tells more exactly what is known.
        if said.then is not None and last <= said.then <= min(then, bound):
            last = said.then
    return found


def _following(times: Sequence[float | None], after: float) -> list[float]:
    """For each of these the next one that is known."""
    found = []
    for time in reversed(times):
        found.append(after)
        after = after if time is None else time
    return found[::-1]


def _rising(claims: Sequence[float | None]) -> list[float | None]:
    """The claims without those that contradict most of the others: the longest row of them that never falls.

    Of rows that are as long as each other, that of later times: it hides nothing from who asks what is new.
    """
    known = [(index, claim) for index, claim in enumerate(claims) if claim is not None]
    if all(first[1] <= second[1] for first, second in pairwise(known)):
        return list(claims)
    # From the end, by how long a row is: with which claim the best one begins, and what comes after each.
    starts: list[float] = []
    first: list[int] = []
    after: dict[int, int] = {}
    for index, claim in reversed(known):
        length = bisect_right(starts, -claim)
        starts[length : length + 1] = [-claim]
        first[length : length + 1] = [index]
        if length:
            after[index] = first[length - 1]
    found: list[float | None] = [None] * len(claims)
    best: int | None = first[-1]
    while best is not None:
        found[best] = claims[best]
        best = after.get(best)
    return found
