"""Putting `web` apps to sleep, and waking them.

A marker file says that an app sleeps. nginx looks for it at every request, and then asks the waker:
so no request is on its way to a process that is being stopped.
"""

import contextlib
import time
from pathlib import Path

from piku import files, locks, ports, procfs
from piku.app import settings
from piku.deploy import live_sites, probe, reconcile, releases
from piku.deploy.releases import Live, Process
from piku.errors import PikuError
from piku.nginx.site import Site
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.uwsgi import emperor, ini
from piku.uwsgi.emperor import VassalName

_PATIENCE = 60.0  # seconds for a program to listen again
_DRAIN = 10.0  # seconds for requests that came before nginx saw the marker
_QUIET = 3  # looks in a row at which nobody is connected


def marker(app: AppPaths) -> Path:
    """The file that is there while the app sleeps; it holds the number of the start that does."""
    return app.root / "nginx" / f"{app.name}{SEPARATOR}asleep"


def limit(site: Site) -> int:
    """Seconds without a request until the app is stopped; 0 for never."""
    return settings.IDLE.read(site.values) if site.backend == "http" else 0


def _woken(app: AppPaths) -> Path:
    """Locked while a sleeping app is stopped or started; its time is that of the last wake."""
    return app.root / "nginx" / f"{app.name}{SEPARATOR}woken"


def is_asleep(app: AppPaths, live: Live) -> bool:
    return files.read(marker(app)).strip() == str(live.start)


def resting(_paths: Paths, app: AppPaths, live: Live) -> list[VassalName]:
    """The vassals that need not run, because the app sleeps."""
    return [one.vassal(app.name) for one in _web(live)] if is_asleep(app, live) else []


def forget(_paths: Paths, app: AppPaths, live: Live | None) -> None:
    """Remove an earlier start's marker: nginx would send each request to the waker."""
    if marker(app).exists() and (live is None or not is_asleep(app, live)):
        files.remove(marker(app))


def _web(live: Live) -> list[Process]:
    return [process for process in live.processes if process.kind == "web" and process.address]


def periodic(paths: Paths) -> None:
    """Put idle apps to sleep, and end what those that sleep by uWSGI's means left behind."""
    for name in (name for name, site in live_sites.load(paths)[0].items() if limit(site)):
        lock = paths.app(name).lock
        # An app that is being deployed is not idle; one that fails must not keep others awake.
        with (
            contextlib.suppress(PikuError, OSError),
            locks.lock(lock, "going to sleep", patient=False),
        ):
            put_to_sleep(paths, paths.app(name))
    # In this order: what one that wakes meanwhile starts was not there yet.
    marked, states = procfs.marked(paths.root), emperor.observe(paths) or {}
    asleep = {str(name) for name, state in states.items() if state.asleep}
    procfs.end((pid for pid, mark in marked.items() if mark in asleep), 1)


def put_to_sleep(paths: Paths, app: AppPaths) -> None:
    """Stop the app's `web` processes if it is idle for long enough; the caller holds its lock."""
    live = releases.live(app)
    if live is None or live.stopped or is_asleep(app, live) or not _is_idle(app, live):
        return
    files.write(marker(app), f"{live.start}\n")
    drained = _drains(app, live)
    with locks.lock(_woken(app), "going to sleep"):
        if drained and is_asleep(app, live):
            reconcile.stop(paths, resting(paths, app, live), live.stop_timeout)
        else:
            files.remove(marker(app))


def _is_idle(app: AppPaths, live: Live) -> bool:
    # nginx's log has the time of the last answer, the record that of the start.
    times = (app.access_log, app.live_record, _woken(app))
    last = max(path.stat().st_mtime for path in times if path.exists())
    seconds = limit(live.site) if live.site else 0
    return bool(seconds) and time.time() - last >= seconds and not _is_connected(live)


def _is_connected(live: Live) -> bool:
    return ports.connections(process.address for process in _web(live)) > 0


def _drains(app: AppPaths, live: Live) -> bool:
    """Wait until nobody is connected; returns whether that happens and nobody wakes the app."""
    quiet = 0
    for _ in files.poll(time.monotonic() + _DRAIN, first=0.1, most=0.2):
        quiet = 0 if _is_connected(live) else quiet + 1
        if quiet == _QUIET or not is_asleep(app, live):
            break
    return quiet == _QUIET


def wake(paths: Paths, app: AppPaths) -> None:
    """Start what sleeps, and wait until it listens; raises PikuError when it does not."""
    begun = time.monotonic()
    live = _running(app)
    ends = {process: _ends(app, process) for process in _web(live)}
    with locks.lock(_woken(app), "waking"):
        if slept := is_asleep(app, live):
            names = resting(paths, app, live)
            files.remove(marker(app))
            emperor.enable(paths, names)
    for _ in files.poll(begun + _PATIENCE, most=0.03):
        _woken(app).touch()  # nobody is connected yet: it must not seem idle
        web = _web(_running(app))  # another release may have gone live
        if any(probe.accepts(process.address) for process in web):
            took = time.monotonic() - begun
            if slept:
                with web[0].log(app).open("a") as log:
                    log.write(f"[piku] woken by a request, ready after {took:.2f} s\n")
            return
        if all(_ends(app, process) > ends.get(process, 0) for process in web):
            raise PikuError(f"{app.name} was woken, and ended before it listened")
    raise PikuError(f"{app.name} was woken, and does not listen after {_PATIENCE:.0f} s")


def _running(app: AppPaths) -> Live:
    live = releases.live(app)
    if live is None or live.stopped or not _web(live):
        raise PikuError(f"{app.name} does not run")
    return live


def _ends(app: AppPaths, process: Process) -> int:
    """How often the process has ended, without having been stopped, as far as its log goes back."""
    text = files.read(process.log(app))
    return text.count(ini.ENDED.format(worker=process.worker))
