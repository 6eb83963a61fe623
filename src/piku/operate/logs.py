"""Reading and following the logs of an app's processes."""

from __future__ import annotations

import os
import re
import select
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from piku.deploy import records
from piku.errors import PikuError
from piku.paths import SEPARATOR, AppPaths

_FILE = re.compile(rf"(?P<worker>[\w-]+\.\d+)(?:{SEPARATOR}(?P<activation>\d+))?\.log(?P<old>\.old)?")
_EVERY = 0.25  # seconds between looks while somebody follows


@dataclass(frozen=True, order=True)
class LogFile:
    """One log on disk: rotated ones first, then by the activation that wrote it."""

    worker: str
    activation: int
    path: Path = field(compare=False)


def log_files(app: AppPaths, wanted: str = "", release: int | None = None) -> list[LogFile]:
    """The logs of an app's processes (of one type, one instance, one release), the oldest first.

    Raises PikuError when nothing of that name ever logged.
    """
    of_release = None if release is None else _activations(app, release)
    found = [log for log in _all(app) if of_release is None or log.activation in of_release]
    chosen = [log for log in found if wanted in ("", log.worker, log.worker.rpartition(".")[0])]
    if wanted and not chosen:
        names = sorted({log.worker for log in found})
        raise PikuError(
            f"{app.name} has no log of {wanted!r}", hint=f"there are: {', '.join(names)}" if names else ""
        )
    return sorted(chosen)


def _all(app: AppPaths) -> Iterator[LogFile]:
    try:
        entries = sorted(app.logs.iterdir())
    except FileNotFoundError:
        return
    for path in entries:
        match = _FILE.fullmatch(path.name)
        if match and not path.is_symlink():
            yield LogFile(match["worker"], int(match["activation"] or 0), path)


def _activations(app: AppPaths, release: int) -> set[int]:
    records.load_release(app, release)  # refuses a release that never was
    return records.activations_of(app, release)


def last(logs: Iterable[LogFile], count: int) -> list[tuple[str, str]]:
    """The last `count` lines of each process, with its name; across rotations and releases."""
    by_worker: dict[str, list[str]] = {}
    for log in logs:
        lines = by_worker.setdefault(log.worker, [])
        lines += log.path.read_text(errors="replace").splitlines()
        del lines[: max(0, len(lines) - count)]
    return [(worker, line) for worker, lines in by_worker.items() for line in lines]


def print_file(path: Path, count: int) -> None:
    """Print the last `count` lines of a file, if there is one."""
    if path.exists():
        lines = path.read_text(errors="replace").splitlines()
        for line in lines[max(0, len(lines) - count) :]:
            print(line)


def follow(app: AppPaths, wanted: str) -> Iterator[tuple[str, str]]:
    """Lines as they come, over rotations and deploys, until whoever reads us goes away."""
    offsets = {_identity(log.path): log.path.stat().st_size for log in log_files(app, wanted)}
    rest: dict[tuple[int, int], str] = {}
    while not _reader_gone(_EVERY):
        for log in log_files(app, wanted):
            yield from _news(log, offsets, rest)


def _news(
    log: LogFile, offsets: dict[tuple[int, int], int], rest: dict[tuple[int, int], str]
) -> Iterator[tuple[str, str]]:
    try:
        # A file is known by its inode: renamed to .old it is read to its end, and not again.
        with log.path.open(errors="replace", newline="\n") as file:
            status = os.fstat(file.fileno())
            key = (status.st_dev, status.st_ino)
            start = offsets.setdefault(key, 0)
            if status.st_size <= start:
                return
            file.seek(start)
            text = rest.pop(key, "") + file.read()
            offsets[key] = file.tell()
    except FileNotFoundError:
        return
    *lines, partial = text.split("\n")
    if partial:
        rest[key] = partial
    for line in lines:
        yield log.worker, line


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _reader_gone(timeout: float) -> bool:
    """Wait that long; true as soon as nobody can read our output any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), select.POLLERR | select.POLLHUP)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(timeout * 1000))
