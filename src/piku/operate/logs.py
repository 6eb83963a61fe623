"""What an app's processes wrote: the last lines, and those to come.

A log is plain text, one file per start of a process; uWSGI renames it to `.old` when it is large.
A line that starts with a time is placed by it. A file without any such line is one block, placed by
when it was last written to. uWSGI's remarks about its own starts and stops are left out.
"""

import contextlib
import itertools
import os
import re
import select
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from piku.deploy import releases
from piku.errors import PikuError
from piku.paths import AppPaths
from piku.uwsgi import noise

BUILD = "build"  # the transcript of deploys, shown only when it is asked for
_DEPLOY = b" -----> Release v"  # with this it begins
_NAME = re.compile(
    r"(?P<process>[A-Za-z][\w-]*\.\d+|nginx|drain|build)(?:@(?P<start>\d+))?\.log(?:\.old)?"
)
_ISO = re.compile(rb"\[?(\d{4}[-/]\d\d[-/]\d\d[T ][\d:]{8}(?:[.,]\d+)?)\s?(Z|[+-]\d\d:?\d\d)?")
_ACCESS = re.compile(rb"[^\[\n]{1,200} - [^\[\n]{1,200} \[([^\]\n]{20,30})\] \"")
_INTERVAL = 0.25  # seconds between looks while following
_TAIL = 1 << 22  # bytes at the end of a log in which its last lines are looked for


@dataclass(frozen=True, kw_only=True)
class LogFile:
    """One log on disk. `start` is 0 for logs of nginx, of scheduled jobs and of detached runs."""

    process: str
    start: int
    path: Path
    status: os.stat_result

    @property
    def written(self) -> float:
        return self.status.st_mtime


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line, and its place in time in seconds of the epoch."""

    process: str
    at: float
    text: bytes


def scan(app: AppPaths) -> list[LogFile]:
    """Every log of the app at this moment, the one last written to at the end."""
    found = []
    for path in app.logs.glob("*.log*"):
        match = _NAME.fullmatch(path.name)
        if match is None or path.is_symlink():
            continue
        process, start = match["process"], int(match["start"] or 0)
        with contextlib.suppress(FileNotFoundError):
            found.append(LogFile(process=process, start=start, path=path, status=path.stat()))
    return sorted(found, key=lambda log: log.written)


def _of(logs: Iterable[LogFile], process: str) -> list[LogFile]:
    """The logs of a process or a process type; "" is all but the transcript of deploys."""
    if not process:
        return [log for log in logs if log.process != BUILD]
    return [log for log in logs if process in (log.process, log.process.rpartition(".")[0])]


def select_logs(
    app: AppPaths, logs: Sequence[LogFile], process: str, release: int | None
) -> list[LogFile]:
    """The logs to show. Those of failed releases only when asked for, or when there are no others.

    Raises PikuError when there was never such a release, or nothing of that name ever logged.
    """
    named = _of(logs, process)
    if process and not named:
        hint = f"its logs: {', '.join(sorted({log.process for log in logs} | {BUILD}))}"
        raise PikuError(f"{app.name} has no log of {process!r}", hint=hint)
    if release is not None:
        starts = releases.load_release(app, release).starts
        return [log for log in named if log.start in starts]
    every = releases.releases(app)
    failed = {start for one in every if one.outcome == releases.FAILED for start in one.starts}
    return [log for log in named if log.start not in failed] or named


def history(logs: Iterable[LogFile], count: int | None) -> list[Line]:
    """The last lines of these logs together, in the order of time as far as it is known, then of
    starts; without a count, from the beginning of the last deploy in its transcript."""
    by_start = sorted(logs, key=lambda log: log.start)
    lines = [line for log in by_start for line in _last_lines(log, count)]
    lines.sort(key=lambda line: line.at)
    deploys = (at for at, line in enumerate(lines) if _DEPLOY in line.text)
    return lines[max(deploys, default=0) if count is None else max(0, len(lines) - count) :]


def _last_lines(log: LogFile, count: int | None) -> list[Line]:
    """The last lines of one log. Lines below one with a time are placed with it, but those below
    the last one are as new as the file."""
    data = _read(log, max(0, log.status.st_size - _TAIL))
    whole = data.removesuffix(b"\n").split(b"\n") if data else []
    newest = (text for text in reversed(whole) if not noise.is_routine(text))
    texts = list(itertools.islice(newest, count))[::-1]
    times = [time_of(text) for text in texts]
    known = [time for time in times if time is not None]
    at, left = min([log.written, *known[:1]]), len(known)
    lines = []
    for text, time in zip(texts, times, strict=True):
        at = max(at, min(time or at, log.written)) if left else log.written
        left -= time is not None
        lines.append(Line(process=log.process, at=at, text=text))
    return lines


def _read(log: LogFile, start: int) -> bytes:
    """The log from there to the end that it had when it was found; nothing if it is gone."""
    try:
        with log.path.open("rb") as file:
            return os.pread(file.fileno(), log.status.st_size - start, start)
    except FileNotFoundError:
        return b""


def time_of(line: bytes) -> float | None:
    """The time at the start of a line: an ISO date and a time of day, or that of an access log."""
    try:
        if found := _ISO.match(line):
            text = b"".join(found.groups(b"")).decode().replace("/", "-")
            return datetime.fromisoformat(text).timestamp()
        if found := _ACCESS.match(line):
            return datetime.strptime(found[1].decode(), "%d/%b/%Y:%H:%M:%S %z").timestamp()
    except (ValueError, OverflowError):
        pass
    return None


def follow(app: AppPaths, known: Iterable[LogFile], process: str) -> Iterator[list[Line]]:
    """What is added to the known logs and to new ones, until nobody reads our output any more."""
    # A log keeps its inode when it is renamed to `.old`; that of a removed one is soon another's.
    offsets = {log.status.st_ino: (log.path, log.status.st_size) for log in known}
    while not _reader_gone(_INTERVAL):
        batch = []
        for log in _of(scan(app), process):
            path, start = offsets.get(log.status.st_ino, (log.path, 0))
            if log.path not in (path, Path(f"{path}.old")) or start > log.status.st_size:
                start = 0
            data = _read(log, start)
            *lines, rest = data.split(b"\n")  # a line without an end is read again
            offsets[log.status.st_ino] = (log.path, start + len(data) - len(rest))
            batch += [
                Line(process=log.process, at=log.written, text=text)
                for text in lines
                if not noise.is_routine(text)
            ]
        yield batch


def _reader_gone(timeout: float) -> bool:
    """Wait that many seconds; true as soon as nobody can read our output any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLERR | select.POLLHUP)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(timeout * 1000))
