"""An app's figures over time, in one file of fixed size: a day in steps of two minutes, and a month
in hours.

Each step has one place in the file, which its successor a day (a month) later takes. A record that
is not of the step that is asked for is none.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

STEP, HOUR, DAY = 120, 3600, 86400  # seconds
_RECORD = struct.Struct("<IIIffIf")
# For each length of step: how many there are, and where in the file they begin.
_AREAS = {STEP: (DAY // STEP, 0), HOUR: (31 * 24, DAY // STEP * _RECORD.size)}
SIZE = (DAY // STEP + 31 * 24) * _RECORD.size  # bytes


Points = Sequence[tuple[int, float]]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What an app did in one step: `at` is its begin in seconds of the epoch; latencies are in
    seconds, `memory` in kB, `cpu` in seconds of processor time. `errors` are answers 5xx."""

    at: int
    requests: int = 0
    errors: int = 0
    p50: float = 0.0
    p95: float = 0.0
    memory: int = 0
    cpu: float = 0.0


def add(file: Path, sample: Sample) -> None:
    """Keep a sample of two minutes, and bring its hour up to date."""
    file.touch(mode=0o640)
    _write(file, STEP, sample)
    begin = sample.at - sample.at % HOUR
    if whole := _merged(begin, read(file, STEP, begin, begin + HOUR)):
        _write(file, HOUR, whole)


def read(file: Path, step: int, begin: int, end: int) -> Iterator[Sample]:
    """The samples from `begin` to before `end`, as far as they are kept."""
    content = file.read_bytes() if file.exists() else b""
    for at in range(begin - begin % step, end, step):
        place = _place(step, at)
        if len(content) >= place + _RECORD.size:
            found = _RECORD.unpack_from(content, place)
            if found[0] == at:
                names = ("at", "requests", "errors", "p50", "p95", "memory", "cpu")
                yield Sample(**dict(zip(names, found, strict=True)))


def figures(samples: Sequence[Sample], step: int, now: int) -> dict[str, Points]:
    """Each figure over time, by its name: requests and errors a minute, seconds, bytes, cores. Of
    the step that has only begun the requests are not known yet."""
    ended = [one for one in samples if one.at + step <= now]
    answered = [one for one in ended if one.requests]
    return {
        "requests": [(one.at, one.requests * 60 / step) for one in ended],
        "errors": [(one.at, one.errors * 60 / step) for one in ended],
        "p50": [(one.at, one.p50) for one in answered],
        "p95": [(one.at, one.p95) for one in answered],
        "memory": [(one.at, one.memory * 1024.0) for one in samples],
        "processors": [(one.at, one.cpu / step) for one in samples],
    }


def _merged(at: int, samples: Iterable[Sample]) -> Sample | None:
    """One sample for an hour: of the median the mean by requests, of others sum or maximum."""
    known = list(samples)
    if not known:
        return None
    requests = sum(one.requests for one in known)
    return Sample(
        at=at,
        requests=requests,
        errors=sum(one.errors for one in known),
        p50=sum(one.p50 * one.requests for one in known) / max(1, requests),
        p95=max(one.p95 for one in known),
        memory=max(one.memory for one in known),
        cpu=sum(one.cpu for one in known),
    )


def _place(step: int, at: int) -> int:
    count, begin = _AREAS[step]
    return begin + at // step % count * _RECORD.size


def _write(file: Path, step: int, one: Sample) -> None:
    record = _RECORD.pack(one.at, one.requests, one.errors, one.p50, one.p95, one.memory, one.cpu)
    with file.open("r+b") as handle:
        handle.seek(_place(step, one.at))
        handle.write(record)
