"""Rotating the logs that uWSGI does not rotate: nginx's, and the emperor's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path

from piku import files
from piku.app import settings
from piku.nginx import service
from piku.paths import Paths


def rotate(paths: Paths, access: Iterable[Path]) -> None:
    """Rename logs that have grown too large to `.old`; `access` are nginx's access logs. The caller
    holds nginx's lock."""
    most = int(settings.LOG_MAXSIZE.default)
    if _size(paths.emperor_log) > most:
        # The emperor never reopens it, but appends.
        files.write(Path(f"{paths.emperor_log}.old"), files.read(paths.emperor_log), mode=0o640)
        os.truncate(paths.emperor_log, 0)
    grown = [path for path in (*access, paths.nginx_errors) if _size(path) > most]
    for path in grown:
        path.rename(f"{path}.old")
        path.touch(mode=0o640)
    if grown and (master := service.master_pid(paths)) is not None:
        os.kill(master, signal.SIGUSR1)  # nginx(8): reopen the logs


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
