"""What has to be done now and then while nobody gives a command: the platform's own vassals ask for it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from piku import locks, procfs
from piku.app import settings
from piku.deploy import live_sites, releases, revision
from piku.errors import PikuError
from piku.extras.idle import sleeping
from piku.extras.limits import limits
from piku.nginx import rotation
from piku.output import Output
from piku.paths import AppName, Paths
from piku.uwsgi import emperor

_LATE = 10  # seconds that uWSGI may take beyond what a process has to stop


def rotate(paths: Paths) -> None:
    """Move the logs of nginx and of the emperor that have grown too large to `.old`."""
    with locks.lock(paths.uwsgi / "nginx.lock", "rotating logs"):
        sites = live_sites.load(paths)[0]
        access = {
            Path(site.access_log): _limit(paths, name)
            for name, site in sites.items()
            if site.access_log
        }
        rotation.rotate(paths, access)


def _limit(paths: Paths, name: AppName) -> int:
    app = paths.app(name)
    with contextlib.suppress(PikuError):
        live = releases.live(app)
        if live is not None:
            release = releases.load_release(app, live.release)
            return settings.LOG_MAXSIZE.read(revision.of_release(paths, app, release).values)
    return int(settings.LOG_MAXSIZE.default)


def remove_groups(paths: Paths) -> None:
    """Remove what processes that have ended left: those that they started and did not end, and their cgroups."""
    for name in paths.app_names():
        app = paths.app(name)
        with (
            contextlib.suppress(locks.LockHeld, PikuError),
            locks.lock(app.lock, "removing its old cgroups", patient=False),
        ):
            limits.clean(app, releases.live(app))
    sleeping.sweep(paths)


def end_hanging(paths: Paths) -> None:
    """Kill what was told to stop, has had its time, and has not ended: a deploy does not wait for the
    processes of the release before."""
    wanted = emperor.enabled(paths)
    told = time.time() - paths.enabled.stat().st_mtime  # or longer ago
    for name, state in (emperor.observe(paths) or {}).items():
        # A scheduler ends with the jobs that it has begun, which are let finish.
        if name in wanted or name.kind == releases.SCHEDULER or not state.pid:
            continue
        with contextlib.suppress(PikuError):
            live = releases.live(paths.app(name.app))
            if told > (live.stop_timeout if live else 0) + _LATE:
                procfs.end([state.pid, *procfs.descendants(state.pid)], 0)


def doze(paths: Paths, output: Output) -> None:
    """Put to sleep the apps that nobody has asked for long enough."""
    naps = []
    for name, site in live_sites.load(paths)[0].items():
        if not site.sleeps:
            continue
        app = paths.app(name)
        # One that is being deployed is not idle.
        with (
            contextlib.suppress(locks.LockHeld, PikuError),
            locks.lock(app.lock, "putting it to sleep", patient=False),
        ):
            if (nap := sleeping.doze(paths, app, time.time())) is not None:
                naps.append(nap)
                output.step(f"{name} sleeps until somebody asks for it")
    sleeping.see_off(paths, naps)  # no lock is held meanwhile
