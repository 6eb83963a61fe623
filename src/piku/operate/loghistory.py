"""What several logs hold, in the order of time; however much that is, little of it is in memory at once."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, takewhile

from piku.operate import loglines
from piku.operate.loglines import Line, Part

# A process, and what was written for it one part after the other, the last first.
Stream = tuple[str, list[Part]]

_AT_ONCE = 1 << 23  # bytes of memory for lines: those of an app whose logs are no larger than usual
_OVERHEAD = 400  # what a line costs beside its text


def history(
    streams: Sequence[Stream],
    holds: Callable[[Line], bool],
    since: float = 0,
    count: int | None = None,
) -> Iterator[Line]:
    """The last `count` lines (None: all of them) that are not older than `since`, of those that `holds` is true of.

    They are found from the last to the first, so all that do not fit into memory are forgotten on the
    way, and read again when it is their turn.
    """
    found: list[Line | None] = [None for _ in streams]
    steps = [tuple(found)]
    lines: list[Line] = []
    size = number = 0
    for stream, line in _newest_first(streams, found):
        if line.time < since or number == count:
            break
        if size >= _AT_ONCE:
            steps.append(tuple(found))
            lines, size = [], 0
        found[stream] = line
        if holds(line):
            lines.append(line)
            size += len(line.text) + _OVERHEAD
            number += 1
    yield from reversed(lines)
    for after, before in reversed(list(pairwise(steps))):
        lines = [line for _, line in _newest_first(streams, after, before) if holds(line)]
        yield from reversed(lines)


def _newest_first(
    streams: Sequence[Stream], after: Sequence[Line | None], before: Sequence[Line | None] = ()
) -> Iterator[tuple[int, Line]]:
    """The lines of each stream in front of the one `after` them, with the stream's number; up to one `before`."""
    each = [
        _lines(number, stream, after[number], before[number] if before else None)
        for number, stream in enumerate(streams)
        if not before or before[number] is not after[number]
    ]
    return heapq.merge(*reversed(each), key=lambda pair: -pair[1].time)


def _lines(
    number: int, stream: Stream, after: Line | None, before: Line | None
) -> Iterator[tuple[int, Line]]:  # fmt: skip
    worker, parts = stream
    found = loglines.lines(worker, parts, *((after.place, after.time) if after else ()))
    if before is not None:
        last = before.place
        found = takewhile(lambda line: line.place >= last, found)
    return ((number, line) for line in found)
