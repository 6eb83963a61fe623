"""Making the server follow an app's live record: after a deploy, a failure, a boot, a stop, a
crash.

The record says which processes run; links, nginx and workers follow from it. `reconcile` may be
called at any time, and repeated: nothing else starts, stops, links or cleans up.
"""

import time
from collections.abc import Callable, Collection, Mapping

from piku import files, locks, ports, procfs
from piku.deploy import cleanup, live_sites, orphans, process_plan, releases
from piku.deploy.releases import Draining, Live, Process
from piku.errors import PikuError
from piku.extra import hooks
from piku.nginx import service
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor, housekeeping
from piku.uwsgi.emperor import State, VassalName

Say = Callable[[str], None]
LATE = 10  # seconds that uWSGI may take beyond what a process has to stop
_KILLED = 5  # seconds until the emperor has noticed that a process was killed
_PATIENCE = 1.0  # seconds for which a command waits for open requests
# Seconds of PIKU_DRAIN_TIMEOUT at most: an end that is further off is from before the clock was set
# back.
_LONGEST = 3600
_ROUND = 100.0  # seconds; housekeeping comes again after 120


def wanted(paths: Paths, app: AppPaths, live: Live | None) -> list[VassalName]:
    """The vassals that should run now: all of the live record's but those that sleep."""
    if live is None:
        return []
    resting = {name for hook in hooks("resting") for name in hook(paths, app, live)}
    return [name for name in live.vassals(app.name) if name not in resting]


def is_settled(paths: Paths, app: AppPaths) -> bool:
    """Whether exactly what should run is enabled."""
    live = releases.live(app)
    enabled = set(emperor.enabled(paths, app.name))
    return enabled - _still_draining(paths, app, live).keys() == set(wanted(paths, app, live))


def reconcile(
    paths: Paths, app: AppPaths, *, say: Say = lambda _: None, wait_stopped: bool = False,
    nginx: bool = True,
) -> None:  # fmt: skip
    """Make everything follow from the live record; the caller holds the app's lock, and sees to
    nginx without `nginx`.

    Processes that are no longer wanted get SIGTERM; `wait_stopped` waits until they have ended, and
    may raise PikuError.
    """
    live = releases.live(app)
    enabled = emperor.enabled(paths, app.name)
    should = wanted(paths, app, live)
    draining = _still_draining(paths, app, live)
    stale = [name for name in enabled if name not in (*should, *draining)]
    missing = [name for name in should if name not in enabled]
    if missing or wait_stopped:
        # Those must be gone before others start: one may hold a port, or be a worker's twin.
        stop(paths, stale, live.stop_timeout if live else 10)
    else:
        emperor.disable(paths, stale)
    emperor.enable(paths, missing)
    if live is not None:
        _link(app, live)
    if nginx:
        live_sites.update(paths, say)
    if live is not None and draining:
        _drain(paths, app, live, draining, say, to_the_end=wait_stopped and live.stopped)
    cleanup.clean(paths, app, live, say)
    # It stops what is still busy in time, ends what stopped processes left, gets certificates.
    housekeeping.ask(paths)
    for hook in hooks("reconciled"):
        hook(paths, app, live)


def _link(app: AppPaths, live: Live) -> None:
    """Point the stable names at what is live: its code, sockets, logs and variables."""
    now = app.live_link.resolve() if app.live_link.is_symlink() else None
    if now is not None and now != (app.releases / live.checkout).resolve():
        files.link(now, app.previous_link)
    files.link(app.releases / live.checkout, app.live_link)
    for process in live.processes:
        if process.by_socket:
            files.link(process.address, app.socket(process.instance))
        if not process.schedules:
            log = process.log(app)
            files.link(log.name, app.logs / f"{process.worker}.log")
    if live.counts is not None:
        files.write(app.scaling, process_plan.render_scaling(live.counts))
    files.write(app.live_env, files.read(app.start(live.start) / "LIVE_ENV"), mode=0o600)


# --- stopping ------------------------------------------------------------------------------------


def stop(paths: Paths, names: Collection[VassalName], grace: float) -> None:
    """Stop these processes with everything that they started, within `grace` seconds; a uWSGI that
    does not end is killed. Raises PikuError when they still run, or it is unknown."""
    if not names:
        return
    emperor.disable(paths, names)
    if left := emperor.wait_gone(paths, names, grace + LATE):
        states = emperor.observe(paths) or {}
        for state in (states[name] for name in left if name in states):
            kill(state)
        left = emperor.wait_gone(paths, left, _KILLED)
    orphans.end(paths, set(names) - left, grace)
    if left:
        raise PikuError(f"{', '.join(sorted(name.worker for name in left))} did not stop")


def kill(state: State) -> None:
    """Kill a vassal that does not end, with everything below it."""
    if state.pid:
        procfs.end([state.pid, *procfs.descendants(state.pid)], 0)


def draining(live: Live | None, going: Collection[Process]) -> tuple[Draining, ...]:
    """What a new live record says of the processes that it replaces: they may finish their
    requests."""
    if live is None:
        return ()
    now = time.time()
    serving = (process for process in going if process.address)
    new = (Draining(process=process, until=now + live.drain_timeout) for process in serving)
    return (*(one for one in live.draining if one.until > now), *new)


def _still_draining(paths: Paths, app: AppPaths, live: Live | None) -> dict[VassalName, Draining]:
    """The replaced processes that still run."""
    enabled = set(emperor.enabled(paths, app.name))
    replaced = {one.process.vassal(app.name): one for one in live.draining} if live else {}
    return {name: one for name, one in replaced.items() if name in enabled}


def _drain(
    paths: Paths, app: AppPaths, live: Live, left: Mapping[VassalName, Draining], say: Say, *,
    to_the_end: bool,
) -> None:  # fmt: skip
    """Stop what has nothing left to answer; what is still busy goes on behind the command."""
    last = max(one.until for one in left.values()) - time.time()
    busy = left
    for _ in files.poll(time.monotonic() + (last if to_the_end else _PATIENCE), first=0.005):
        busy = {name: one for name, one in left.items() if is_busy(paths, app, one)}
        if not busy:
            break
    if to_the_end:
        stop(paths, left, live.stop_timeout)
        return
    emperor.disable(paths, left.keys() - busy.keys())
    if busy:
        say(f"{len(busy)} old processes finish open requests, for {max(0, last):.0f} s at most")


def is_busy(paths: Paths, app: AppPaths, one: Draining) -> bool:
    """Whether a process may still have a request to answer. Until nginx's workers from before a
    reload have ended, they may pass a request to an old `web` process."""
    if not 0 < one.until - time.time() <= _LONGEST:
        return False
    if ports.connections([one.process.now(app).address]):
        return True
    return not one.process.by_socket and service.has_old_workers(paths)


def finish_draining(paths: Paths) -> None:
    """Wait until the old processes of all apps have finished their requests, and stop them; what
    takes longer is left to the next time (housekeeping)."""
    left = set(paths.app_names())
    for _ in files.poll(time.monotonic() + _ROUND, most=0.5):
        left = {name for name in left if not _drained(paths, paths.app(name))}
        if not left:
            return


def _drained(paths: Paths, app: AppPaths) -> bool:
    """Whether nothing of the app has requests to finish any more; that is stopped. A damaged record
    concerns its own app alone."""
    try:
        replaced = _still_draining(paths, app, releases.live(app)).values()
        if any(is_busy(paths, app, one) for one in replaced):
            return False
        if replaced:
            with locks.lock(app.lock, "ending old processes", patient=False):
                reconcile(paths, app)
    except locks.LockHeld:
        return False  # its holder may have looked at them already
    except (PikuError, OSError):
        pass
    return True
