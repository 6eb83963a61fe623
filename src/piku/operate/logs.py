"""What an app's processes wrote, merged in the order of time, and what they write from now on."""

from __future__ import annotations

import contextlib
import heapq
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice, takewhile
from pathlib import Path

from piku.deploy import records
from piku.operate import logfiles, loglines
from piku.operate.logfiles import LogFile
from piku.operate.loglines import Line, Part
from piku.paths import AppPaths
from piku.serve import logmarks

_EVERY = 0.25  # seconds between looks while somebody follows
_PATIENCE = 4  # looks for which the end of a line is waited for


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which lines: the last `count` (None: all of them) that are not older than `since` and hold `text`.

    `text` is looked for as it is; without a capital it also finds what is written in capitals.
    """

    count: int | None = None
    since: float = 0
    text: str = ""

    def holds(self, line: Line) -> bool:
        """Whether the line has the text that is looked for."""
        if not self.text:
            return True
        said = line.text.decode(errors="replace")
        return self.text in (said.lower() if self.text.islower() else said)


class Logs:
    """The logs of an app's processes (of one type, one instance, one release), opened at one moment.

    What is in them by then is history; `follow` goes on from there, so no line is missed or shown twice.
    Raises PikuError when nothing of that name ever logged, or there was never such a release.
    """

    def __init__(
        self, app: AppPaths, name: str = "", *, release: int | None = None, following: bool = False
    ) -> None:
        self._app, self._name, self._release = app, name, release
        self._releases = logfiles.release_of(app)
        self._newest = max((log.activation for log in logfiles.existing(app)), default=0)
        self._parts = self._opened(whole_lines=following)

    @property
    def workers(self) -> list[str]:
        """The processes that have a log here."""
        return sorted({log.worker for log, _ in self._parts})

    def _opened(self, *, whole_lines: bool) -> list[tuple[LogFile, Part]]:
        for _ in range(5):
            found: list[tuple[LogFile, Part]] = []
            with contextlib.suppress(FileNotFoundError):  # a deploy has just ended: look again
                for log in logfiles.chosen(self._app, self._name, self._release):
                    number = (
                        self._releases.get(log.activation) if log.current else self._live_release(log.worker)
                    )
                    part = loglines.open_part(
                        log.path, number, whole_lines=whole_lines and log.current, mixed=not log.current
                    )
                    found.append((log, part))
                return found
            for _, part in found:
                os.close(part.handle)
        return []

    def _live_release(self, worker: str) -> int | None:
        """Whose lines uWSGI has moved to a process's `.old` file."""
        live = records.live(self._app)
        processes = live.processes if live is not None else ()
        return next((self._releases.get(p.origin) for p in processes if p.worker == worker), None)

    def history(self, wanted: Wanted) -> list[Line]:
        """The lines that are wanted, in the order of time."""
        streams = [loglines.lines(worker, parts) for worker, parts in self._streams()]
        newest_first = heapq.merge(*reversed(streams), key=lambda line: -line.time)
        recent = takewhile(lambda line: line.time >= wanted.since, newest_first)
        mine = (line for line in recent if self._release in (None, line.release) and wanted.holds(line))
        return list(islice(mine, wanted.count))[::-1]

    def _streams(self) -> Iterator[tuple[str, list[Part]]]:
        """What was written one after the other: two starts of a process overlap, what was rotated goes on."""
        for worker, logs in groupby(self._parts, key=lambda part: part[0].worker):
            (old, first), *current = sorted(logs, key=lambda part: part[0])
            stream = [first]
            if current and not old.current and (current[-1][0].plain or loglines.goes_on(first)):
                stream.insert(0, current.pop()[1])
            yield worker, stream
            yield from ((worker, [part]) for _, part in current)

    def follow(self, wanted: Wanted, began: Callable[[str, int], None]) -> Iterator[list[Line]]:
        """Lines as they come, over rotations and deploys, until whoever reads us goes away.

        `began` is told when a process of another release than before begins to write.
        """
        followed = {
            log.path: _Followed(log, part.handle, part.end, part.release)
            for log, part in self._parts
            if log.current
        }
        releases = {one.log.worker: one.release for one in followed.values()}
        while not _reader_gone(_EVERY):
            for one in self._new(followed):
                if one.release is not None and releases.get(one.log.worker, one.release) != one.release:
                    began(one.log.worker, one.release)
                releases[one.log.worker] = one.release
                followed[one.log.path] = one
            news = [line for one in followed.values() for line in one.news()]
            yield [line for line in sorted(news, key=lambda line: line.time) if wanted.holds(line)]
            followed = {path: one for path, one in followed.items() if not one.ended}

    def _new(self, followed: dict[Path, _Followed]) -> Iterator[_Followed]:
        for log in logfiles.existing(self._app):
            is_new = log.activation > self._newest or log.plain
            if not log.current or log.path in followed or not is_new:
                continue
            if not logfiles.matches(log.worker, self._name):
                continue
            if log.activation not in self._releases:
                self._releases = logfiles.release_of(self._app)
            with contextlib.suppress(FileNotFoundError):
                handle = os.open(log.path, os.O_RDONLY | os.O_CLOEXEC)
                yield _Followed(log, handle, 0, self._releases.get(log.activation))


@dataclass
class _Followed:
    """A log that is read as it grows.

    An open file is read to its end even when it has been renamed or removed. Once its name belongs to
    another one, or to none, whoever writes may still be about to turn to that: one look later, so do we.
    """

    log: LogFile
    handle: int
    offset: int
    release: int | None
    ended: bool = False
    _rest: bytes = b""
    _quiet: int = 0
    _shown: bool = False  # the beginning of the line that goes on
    _moved: bool = False
    _time: float | None = field(default=None)

    def news(self) -> list[Line]:
        """The lines that have come since the last look."""
        found = list(self._read())
        if self._moved:
            self._turn()
            return [*found, *self._read()] if not self.ended else [*found, *self._end()]
        self._moved = self._is_elsewhere()
        return found or self._unfinished()

    def _is_elsewhere(self) -> bool:
        try:
            return not os.path.samestat(os.stat(self.log.path), os.fstat(self.handle))
        except FileNotFoundError:
            return True

    def _turn(self) -> None:
        os.close(self.handle)
        self._moved = False
        try:
            self.handle, self.offset = os.open(self.log.path, os.O_RDONLY | os.O_CLOEXEC), 0
        except FileNotFoundError:
            self.ended = True

    def _read(self) -> Iterator[Line]:
        while data := os.pread(self.handle, 1 << 16, self.offset):
            self.offset += len(data)
            self._quiet = 0
            *lines, self._rest = (self._rest + data).split(b"\n")
            beginning = b""
            for line in lines:
                cut = logmarks.before_rotation(beginning + line)
                if cut is not None:
                    beginning = cut  # the line goes on in the next file
                    continue
                yield from self._line(beginning + line)
                beginning = b""
            self._rest = beginning + self._rest
            if len(self._rest) >= loglines.LONGEST:
                yield from self._end()

    def _line(self, raw: bytes) -> Iterator[Line]:
        stamps, text = logmarks.stamps(raw), logmarks.plain(raw)
        said = None if stamps else logmarks.said_time(text, at_end=self.log.worker == logfiles.NGINX)
        when = stamps[0] if stamps else said or self._time or time.time()
        if stamps:
            self._time = stamps[-1]
        if text or not self._shown:
            yield Line(when, self.log.worker, self.release, text)
        self._shown = False

    def _unfinished(self) -> list[Line]:
        """What there is of a line whose end does not come."""
        self._quiet += 1
        return self._end() if self._quiet == _PATIENCE else []

    def _end(self) -> list[Line]:
        rest, self._rest = self._rest, b""
        if not logmarks.plain(rest):
            return []
        found = list(self._line(rest))
        self._shown = True
        return found


def transcript(app: AppPaths, wanted: Wanted) -> list[Line]:
    """The lines of what deploys have said."""
    parts = []
    for path in (app.build_log, Path(f"{app.build_log}.old")):
        with contextlib.suppress(FileNotFoundError):
            parts.append(loglines.open_part(path, None))
    recent = takewhile(lambda line: line.time >= wanted.since, loglines.lines("build", parts))
    return list(islice((line for line in recent if wanted.holds(line)), wanted.count))[::-1]


def _reader_gone(timeout: float) -> bool:
    """Wait that long; true as soon as nobody can read our output any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLERR | select.POLLHUP)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(timeout * 1000))
