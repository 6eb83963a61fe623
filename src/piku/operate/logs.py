"""What an app's processes wrote, merged in the order of time, and what they write from now on."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from piku.operate import log_archive, log_timestamps, logfiles, loghistory, loglines, tail
from piku.operate.logfiles import LogFile
from piku.operate.loghistory import Stream
from piku.operate.loglines import Line, Part
from piku.paths import AppPaths
from piku.uwsgi import noise

_EVERY = 0.25  # seconds between looks while somebody follows
_AT_ONCE = 1 << 20  # bytes of a log that are read before the next one has its turn


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which lines: the last `count` (None: all of them) that are not older than `since` and hold `text`.

    `text` is looked for as it is; without a capital it also finds what is written in capitals. Unless it is
    `everything`, what uWSGI says of itself when it starts and stops is left out.
    """

    count: int | None = None
    since: float = 0
    text: str = ""
    everything: bool = False

    def holds(self, line: Line) -> bool:
        """Whether the line is one of them, whenever it was written."""
        if not self.everything and noise.is_routine(line.text):
            return False
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
                    found += ((log, part) for part in self._parts_of(log, whole_lines=whole_lines))
                return [pair for pair in found if self._release in (None, pair[1].release)]
            for handle in {part.handle for _, part in found}:
                os.close(handle)
        return []

    def _parts_of(self, log: LogFile, *, whole_lines: bool) -> list[Part]:
        if log.current:
            release = self._releases.get(log.activation)
            part = loglines.open_part(log.path, release, log.activation, whole_lines=whole_lines)
            return [part]
        parts = loglines.open_past(log.path)
        if parts[0].activation:
            return parts
        activation = log_archive.moved_by(log.path, log.worker, parts[0].written)
        return [replace(parts[0], activation=activation, release=self._releases.get(activation))]

    def history(self, wanted: Wanted) -> Iterator[Line]:
        """The lines that are wanted, in the order of time."""
        return loghistory.history(self._streams(), wanted.holds, wanted.since, wanted.count)

    def _streams(self) -> list[Stream]:
        """What was written one after the other: two starts of a process overlap, what was rotated goes on."""

        def whose(pair: tuple[LogFile, Part]) -> tuple[str, int]:
            return pair[0].worker, pair[1].activation

        ordered = sorted(self._parts, key=lambda pair: (*whose(pair), pair[0].current))
        each = groupby(ordered, key=whose)
        return [(worker, [part for _, part in parts][::-1]) for (worker, _), parts in each]

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
        while not _reader_gone(0 if any(one.behind for one in followed.values()) else _EVERY):
            for one in self._new(followed):
                if (
                    one.release is not None
                    and releases.get(one.log.worker, one.release) != one.release
                ):
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
    """A process's log that is read as it grows."""

    log: LogFile
    handle: int
    offset: int
    release: int | None

    def __post_init__(self) -> None:
        self._tail = tail.Tail(str(self.log.path), self.handle, self.offset)

    @property
    def behind(self) -> bool:
        """Whether there is more to be read at once."""
        return self._tail.behind

    @property
    def ended(self) -> bool:
        """Whether there will be no more."""
        return self._tail.ended

    def news(self) -> list[Line]:
        """The lines that have come since the last look."""
        worker = self.log.worker
        return [
            Line(when or time.time(), worker, self.release, text)
            for when, text in self._tail.news(_AT_ONCE)
        ]


def transcript(app: AppPaths, wanted: Wanted) -> Iterator[Line]:
    """The lines of what deploys have said."""
    parts = []
    for path in (app.build_log, Path(f"{app.build_log}.old")):
        with contextlib.suppress(FileNotFoundError):
            parts.append(loglines.open_part(path, None))
    return loghistory.history(
        [(log_timestamps.BUILD, parts)], wanted.holds, wanted.since, wanted.count
    )


def _reader_gone(timeout: float) -> bool:
    """Wait that long; true as soon as nobody can read our output any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLERR | select.POLLHUP)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(timeout * 1000))
