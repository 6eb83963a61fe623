"""How many requests were answered in the last minute, by the access lines at the end of the logs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from piku.deploy.releases import Live
from piku.operate import logs as logs_module
from piku.paths import AppPaths
from piku.uwsgi import ini

_MINUTE = 60
# A minute that has written more than this is told from its end.
_MOST = 1 << 19


def by_process(app: AppPaths, live: Live, now: float) -> dict[str, int]:
    """Of each process that uWSGI serves itself, by its name; those of the release before it count as well."""
    workers = [process.worker for process in live.processes if process.kind in ini.MODIFIERS]
    logs = sorted(logs_module.scan(app), key=lambda log: -log.written) if workers else []
    return {
        worker: count([log.path for log in logs if log.process == worker], now)
        for worker in workers
    }


def by_nginx(live: Live, now: float) -> int | None:
    """Of all that nginx answers for the app without uWSGI, taken together; None when it counts nothing."""
    if live.site is None or not live.site.access_log:
        return None
    log = Path(live.site.access_log)
    return count([log, Path(f"{log}.old")], now)


def count(logs: Iterable[Path], now: float) -> int:
    """The requests of the minute before `now` in these logs, given the last first."""
    found, oldest, left = 0, now, _MOST
    for path in logs:
        tail, whole = _tail(path, left, now - _MINUTE)
        left -= len(tail)
        for line in reversed(tail.split(b"\n")):
            when = logs_module.time_of(line)
            if when is not None and when < now - _MINUTE:
                break
            if when is not None:
                found, oldest = found + 1, min(oldest, when)
        else:
            if not whole:
                return round(found * _MINUTE / max(now - oldest, 1))
    return found


def _tail(path: Path, size: int, since: float) -> tuple[bytes, bool]:
    """The end of a file that was written to since then, and whether that is all of it."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if status.st_mtime < since:
                return b"", True
            start = max(0, status.st_size - size)
            return os.pread(file.fileno(), size, start), start == 0
    except OSError:
        return b"", True
