"""What has to be done now and then while nobody gives a command: the platform's own vassals ask for it."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from piku import locks
from piku.app import settings
from piku.deploy import orphans, reconcile, releases, revision
from piku.errors import PikuError
from piku.extras.idle import sleeping
from piku.extras.limits import limits
from piku.nginx import rotation
from piku.output import Output
from piku.paths import AppName, Paths
from piku.uwsgi import emperor


def rotate(paths: Paths) -> None:
    """Move the logs of nginx and of the emperor that have grown too large to `.old`."""
    with locks.lock(paths.uwsgi / "nginx.lock", "rotating logs"):
        sites = reconcile.live_sites(paths)
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
            return settings.LOG_MAXSIZE.read(
                revision.read(paths, app, release.commit, release.settings).values
            )
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
    """Kill what was told to stop, has had its time, and has not ended. Whoever stops an app waits for that;
    a deploy does not wait for the processes of the release before, and nobody else would look at them."""
    states = emperor.statistics(paths) or {}
    wanted = emperor.enabled(paths)
    told = time.time() - paths.enabled.stat().st_mtime  # or longer ago
    for name, state in states.items():
        # A scheduler ends with the jobs that it has begun, which are let finish.
        if name not in wanted and name.kind != releases.SCHEDULER:
            activation = releases.load_activation(paths.app(name.app), name.activation)
            if told > (activation.stop_timeout if activation else 0) + reconcile.LATE:
                orphans.kill([state.pid])


def doze(paths: Paths, output: Output) -> None:
    """Put to sleep the apps that nobody has asked for long enough."""
    naps = []
    for name, site in reconcile.live_sites(paths).items():
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
