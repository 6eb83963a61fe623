"""Which files hold what an app's processes wrote, and which of them somebody asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from piku.deploy import releases
from piku.errors import PikuError
from piku.operate import log_timestamps
from piku.paths import SEPARATOR, AppPaths

# Not a process of the app: what nginx notes of the requests that it hands on.
NGINX = log_timestamps.NGINX
_FILE = re.compile(
    rf"(?P<worker>{log_timestamps.PROCESS}|{NGINX}|{log_timestamps.DRAIN})(?:{SEPARATOR}(?P<activation>\d+))?\.log(?P<old>\.old)?"
)


@dataclass(frozen=True, order=True)
class LogFile:
    """One log on disk: past ones first, then by the activation that wrote it."""

    worker: str
    current: bool
    activation: int
    path: Path = field(compare=False)

    @property
    def plain(self) -> bool:
        """Whether it belongs to no start of a process: what nginx notes, and scheduled jobs."""
        return self.current and not self.activation


def matches(worker: str, wanted: str) -> bool:
    """Whether `wanted` is this process or its type; nothing is all of them."""
    return wanted in ("", worker, worker.rpartition(".")[0])


def existing(app: AppPaths) -> list[LogFile]:
    """Every log there is, by process, the oldest first."""
    return sorted(_all(app))


def _all(app: AppPaths) -> Iterator[LogFile]:
    try:
        entries = list(app.logs.iterdir())
    except FileNotFoundError:
        return
    for path in entries:
        match = _FILE.fullmatch(path.name)
        if match and not path.is_symlink():
            yield LogFile(match["worker"], not match["old"], int(match["activation"] or 0), path)


def chosen(app: AppPaths, wanted: str = "", release: int | None = None) -> list[LogFile]:
    """The logs to show: by default of the processes that are live, with what they wrote in the past.

    Those of a process that is gone are shown when it is asked for, or when nothing is live; those of a
    release that failed when the release is. Of a `release` it is what it wrote: `.old` files may hold
    some of it. Raises PikuError when there was never such a release, or nothing of that name ever logged.
    """
    found = existing(app)
    named = [log for log in found if matches(log.worker, wanted)]
    if wanted and not named:
        names = sorted({log.worker for log in found})
        hint = f"there are: {', '.join([*names, 'build'])}"
        raise PikuError(f"{app.name} has no log of {wanted!r}", hint=hint)
    if release is not None:
        releases.load_release(app, release)  # refuses a release that never was
        numbers = releases.starts_of(app, release)
        return [log for log in named if log.activation in numbers or not log.current]
    failed, live = _failed(app), _live(app)
    if not live and not wanted:
        return named
    workers = live | {log.worker for log in found if log.plain}
    return [log for log in named if log.worker in workers and log.activation not in failed] or named


def _failed(app: AppPaths) -> set[int]:
    """The activations of releases that failed."""
    failed = (
        release.number for release in releases.releases(app) if release.outcome == releases.FAILED
    )
    return {activation for number in failed for activation in releases.starts_of(app, number)}


def _live(app: AppPaths) -> set[str]:
    """The processes that are live."""
    live = releases.live(app)
    return {process.worker for process in live.processes} if live is not None else set()


def release_of(app: AppPaths) -> dict[int, int]:
    """Which release an activation started: by these its logs are told apart."""
    return {
        activation: number
        for number in releases.release_numbers(app)
        for activation in releases.starts_of(app, number)
    }
