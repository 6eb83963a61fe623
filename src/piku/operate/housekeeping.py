"""What is due now and then while nobody gives a command (`piku housekeeping`)."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial

from piku import errors, locks
from piku.app import settings
from piku.deploy import orphans, reconcile, releases
from piku.errors import PikuError
from piku.extra import hooks
from piku.nginx import service
from piku.output import Output
from piku.paths import Paths
from piku.uwsgi import emperor


def run(paths: Paths, output: Output) -> None:
    """Do everything that is due. What fails is reported, and keeps nothing else from being done."""
    works: list[Callable[[], object]] = [
        partial(rotate, paths),
        partial(end_hanging, paths),
        *(partial(hook, paths) for hook in hooks("periodic")),
        partial(reconcile.finish_draining, paths),
        partial(orphans.end_all, paths),
    ]
    for work in works:
        try:
            work()
        except locks.LockHeld:
            pass
        except Exception as error:  # noqa: BLE001 (of an extra, or a plugin of the server's owner)
            output.error(errors.of(error))


def rotate(paths: Paths) -> None:
    """Rename the logs of nginx and of the emperor that have grown too large to `.old`."""
    most = int(settings.LOG_MAXSIZE.default)
    logs = [paths.nginx_errors, *(paths.app(name).access_log for name in paths.app_names())]
    with locks.lock(paths.uwsgi / "nginx.lock", "rotating logs"):
        if paths.emperor_log.exists() and paths.emperor_log.stat().st_size > most:
            # The emperor never reopens it, but appends.
            shutil.copy(paths.emperor_log, f"{paths.emperor_log}.old")
            os.truncate(paths.emperor_log, 0)
        # Not Path.exists, which raises where an app's folder is closed.
        grown = [path for path in logs if os.path.exists(path) and path.stat().st_size > most]
        for path in grown:
            with contextlib.suppress(OSError):
                path.rename(f"{path}.old")
                path.touch(mode=0o640)
        if grown and (master := service.master_pid(paths)) is not None:
            os.kill(master, signal.SIGUSR1)  # nginx(8): reopen the logs


def end_hanging(paths: Paths) -> None:
    """Kill processes that have outlived their time to stop: a deploy does not wait for those of the
    release before it."""
    wanted = emperor.enabled(paths)
    told = time.time() - paths.enabled.stat().st_mtime  # or longer ago
    for name, state in (emperor.observe(paths) or {}).items():
        # A scheduler ends with the jobs that it has begun, which are let finish.
        if name in wanted or name.kind == releases.SCHEDULER:
            continue
        with contextlib.suppress(PikuError):
            live = releases.live(paths.app(name.app))
            if told > (live.stop_timeout if live else 0) + reconcile.LATE:
                reconcile.kill(state)
