"""Keeping the logs bounded that no uWSGI rotates: nginx's, and the emperor's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path

from piku import files
from piku.app import settings
from piku.nginx import service
from piku.paths import Paths


def rotate(paths: Paths, access: Mapping[Path, int]) -> None:
    """Move the platform's logs that have grown too large to `.old`, and these of nginx that are longer
    than so many bytes. The caller holds nginx's lock."""
    most = int(settings.LOG_MAXSIZE.default)
    if _size(paths.emperor_log) > most:
        # The emperor never opens it again, but appends.
        files.write(Path(f"{paths.emperor_log}.old"), files.read(paths.emperor_log), mode=0o640)
        os.truncate(paths.emperor_log, 0)
    grown = [
        path for path, limit in {**access, paths.nginx_errors: most}.items() if _size(path) > limit
    ]
    for path in grown:
        path.rename(f"{path}.old")
        path.touch(mode=0o640)
    if grown and (master := service.master_pid(paths)) is not None:
        os.kill(master, signal.SIGUSR1)  # nginx(8): reopen the logs


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
