"""What an app's processes wrote: the last lines, and those to come.

A log is plain text, one file per start of a process; uWSGI renames it to `.old` when it is large.
A line that starts with a time is placed by it. A file without any such line is one block, placed by
when it was last written to.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import re
import select
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from piku.deploy import releases
from piku.errors import PikuError
from piku.paths import AppPaths
from piku.uwsgi import noise

BUILD = "build"  # the transcript of deploys, shown only when it is asked for
_NAME = re.compile(
    r"(?P<process>[A-Za-z][\w-]*\.\d+|nginx|drain|build)(?:@(?P<start>\d+))?\.log(?:\.old)?"
)
_ISO = re.compile(
    rb"\[?(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d:\d\d:\d\d)"
    rb"(?:[.,](\d{1,6})\d*)?\s?(Z|[+-]\d\d:?\d\d)?"
)
_ACCESS = re.compile(rb"[^\[\n]{1,200} - [^\[\n]{1,200} \[([^\]\n]{20,30})\] \"")
_INTERVAL = 0.25  # seconds between looks while following
_PATIENCE = 4  # looks without news after which a line without an end is shown
_BLOCK = 1 << 16
_LONGEST = 1 << 20  # a longer line is shown in pieces


@dataclass(frozen=True, kw_only=True)
class LogFile:
    """One log on disk. `start` is 0 for logs of nginx, of scheduled jobs and of detached runs."""

    process: str
    start: int
    path: Path
    inode: int
    size: int
    written: float


@dataclass(frozen=True, kw_only=True)
class Query:
    """Which lines: the last `count` (None: all) that are not older than `since` and contain `text`.

    A `text` without capitals is found in capitals too. Unless `everything`, uWSGI's remarks about
    its own starts and stops are left out.
    """

    process: str = ""
    release: int | None = None
    count: int | None = None
    since: float = 0
    text: str = ""
    everything: bool = False

    def names(self, process: str) -> bool:
        """Whether this is the process, or one of the type, that is asked for."""
        if not self.process:
            return process != BUILD
        return self.process in (process, process.rpartition(".")[0])

    def matches(self, line: bytes) -> bool:
        if not self.everything and noise.is_routine(line):
            return False
        text = line.decode(errors="replace")
        return self.text in (text.lower() if self.text.islower() else text)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line with its own time, if it has one, and its place in time; in seconds of the epoch."""

    process: str
    release: int | None
    time: float | None
    place: float
    text: bytes


def scan(app: AppPaths) -> list[LogFile]:
    """Every log of the app at this moment."""
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir(app.logs) as entries:
        for entry in entries:
            match = _NAME.fullmatch(entry.name)
            if match is None or entry.is_symlink():
                continue
            with contextlib.suppress(FileNotFoundError):
                found.append(_log_file(match, Path(entry.path), entry.stat()))
    return found


def _log_file(match: re.Match[str], path: Path, status: os.stat_result) -> LogFile:
    return LogFile(
        process=match["process"], start=int(match["start"] or 0), path=path,
        inode=status.st_ino, size=status.st_size, written=status.st_mtime,
    )  # fmt: skip


def select_logs(app: AppPaths, logs: Sequence[LogFile], query: Query) -> list[LogFile]:
    """The logs to show. Those of failed releases only when asked for, or when there are no others.

    Raises PikuError when there was never such a release, or nothing of that name ever logged.
    """
    named = [log for log in logs if query.names(log.process)]
    if query.process and not named:
        hint = f"its logs: {', '.join(sorted({log.process for log in logs} | {BUILD}))}"
        raise PikuError(f"{app.name} has no log of {query.process!r}", hint=hint)
    if query.release is not None:
        starts = releases.load_release(app, query.release).starts
        return [log for log in named if log.start in starts]
    every = releases.releases(app)
    failed = {start for one in every if one.outcome == releases.FAILED for start in one.starts}
    return [log for log in named if log.start not in failed] or named


def releases_by_start(app: AppPaths) -> dict[int, int]:
    """The release of each start."""
    return {start: one.number for one in releases.releases(app) for start in one.starts}


def history(app: AppPaths, logs: Iterable[LogFile], query: Query) -> list[Line]:
    """The lines of these logs that are asked for, in the order of time as far as it is known."""
    started = releases_by_start(app)
    files = sorted(logs, key=lambda log: log.written)
    lines = heapq.merge(
        *(_lines(log, query, started.get(log.start)) for log in files), key=lambda line: line.place
    )
    found = [line for line in lines if line.place >= query.since]
    return found if query.count is None else found[max(0, len(found) - query.count) :]


def _lines(log: LogFile, query: Query, release: int | None) -> list[Line]:
    """The last lines of one log. Lines below one with a time are placed with it, but those below
    the last one are as new as the file."""
    found: list[tuple[float | None, bytes]] = []
    with contextlib.suppress(FileNotFoundError), log.path.open("rb") as file:
        for text in _backwards(file.fileno(), log.size):
            if len(found) == query.count:
                break
            if query.matches(text):
                found.append((time_of(text), text))
    found.reverse()
    known = [index for index, (time, _) in enumerate(found) if time is not None]
    place = (found[known[0]][0] or log.written) if known else log.written
    lines = []
    for index, (time, text) in enumerate(found):
        if not known or index > known[-1]:
            place = log.written
        elif time is not None:
            place = max(place, min(time, log.written))
        lines.append(
            Line(process=log.process, release=release, time=time, place=place, text=text)
        )  # fmt: skip
    return lines


def _backwards(handle: int, end: int) -> Iterator[bytes]:
    """The lines of a file up to this place, the last one first."""
    rest = os.pread(handle, 1, end - 1).strip(b"\n") if end else b""
    end = max(0, end - 1)
    while end:
        start = max(0, end - _BLOCK)
        rest, *lines = (os.pread(handle, end - start, start) + rest).split(b"\n")
        yield from reversed(lines)
        end = start
        if len(rest) >= _LONGEST:
            yield rest
            rest = b""
    if rest:
        yield rest


def time_of(line: bytes) -> float | None:
    """The time at the start of a line: an ISO date and a time of day, or that of an access log."""
    try:
        if found := _ISO.match(line):
            year, month, day, clock, fraction, zone = (part.decode() for part in found.groups(b""))
            text = f"{year}-{month}-{day}T{clock}.{fraction or '0':0<6}{zone}"
            return datetime.fromisoformat(text).timestamp()
        if found := _ACCESS.match(line):
            return datetime.strptime(found[1].decode(), "%d/%b/%Y:%H:%M:%S %z").timestamp()
    except (ValueError, OverflowError):
        pass
    return None


# --- what is to come -----------------------------------------------------------------------------


@dataclass
class Tail:
    """A log that is read as it grows: how far it was read, and a line that has no end yet."""

    offset: int = 0
    rest: bytes = b""
    quiet: int = field(default=0)

    def read(self, log: LogFile) -> list[bytes]:
        """The lines that came since the last look."""
        if self.offset > log.size:  # another file has the inode of one that was removed
            self.offset = 0
        data = b""
        if log.size > self.offset:
            with contextlib.suppress(FileNotFoundError), log.path.open("rb") as file:
                data = os.pread(file.fileno(), log.size - self.offset, self.offset)
        self.offset += len(data)
        self.quiet = 0 if data else self.quiet + 1
        *lines, self.rest = (self.rest + data).split(b"\n")
        if self.rest and (self.quiet >= _PATIENCE or len(self.rest) > _LONGEST):
            lines, self.rest = [*lines, self.rest], b""
        return lines


def follow(app: AppPaths, known: Iterable[LogFile], query: Query) -> Iterator[list[Line]]:
    """What is added to the known logs and to new ones, until nobody reads our output any more."""
    tails = {log.inode: Tail(offset=log.size) for log in known}
    started: dict[int, int | None] = {**releases_by_start(app)}
    while not reader_gone(_INTERVAL):
        batch = []
        for log in sorted(scan(app), key=lambda log: log.written):
            if not query.names(log.process):
                continue
            if log.start and log.start not in started:
                started |= {log.start: None, **releases_by_start(app)}
            batch += [
                Line(
                    process=log.process, release=started.get(log.start), time=time_of(text),
                    place=log.written, text=text,
                )
                for text in tails.setdefault(log.inode, Tail()).read(log)
                if query.matches(text)
            ]  # fmt: skip
        yield batch


def reader_gone(timeout: float) -> bool:
    """Wait that many seconds; true as soon as nobody can read our output any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLERR | select.POLLHUP)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(timeout * 1000))
