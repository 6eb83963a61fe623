"""Apps whose `web` processes sleep while nobody asks for them (`UWSGI_IDLE`).

What uWSGI serves itself sleeps by uWSGI's own means: the emperor holds the socket. A `web` program
listens by itself, so it is stopped, and nginx has it woken when it meets nobody at its port.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from piku import files as files_module
from piku import ports, procfs
from piku.deploy import health, releases
from piku.deploy import process_config as files
from piku.deploy.releases import Live, Process
from piku.errors import PikuError
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor
from piku.uwsgi.emperor import State, VassalName

_PATIENCE = 60.0  # seconds for a program to listen again


class Nap(NamedTuple):
    """What was told to stop, so that the app sleeps, and the processes `left` that would outlive it."""

    names: Sequence[VassalName]
    left: set[int]
    grace: int


def sleepers(live: Live) -> list[Process]:
    """The processes that are stopped while the app sleeps."""
    return [process for process in live.processes if process.kind == "web" and process.address]


def is_asleep(app: AppPaths, live: Live) -> bool:
    return _marker(app, live).exists()


def is_sleeper(app: AppPaths, live: Live, process: Process) -> bool:
    """Whether this process is stopped because the app sleeps."""
    return is_asleep(app, live) and process in sleepers(live)


def wanted(app: AppPaths, live: Live | None) -> list[VassalName]:
    """The vassals that are to run now: all of the activation, without those that sleep."""
    if live is None:
        return []
    resting = sleepers(live) if is_asleep(app, live) else []
    return [process.vassal(app.name) for process in live.processes if process not in resting]


def doze(paths: Paths, app: AppPaths, now: float) -> Nap | None:
    """Put the app to sleep if nobody asked for it long enough; returns what is to be seen off, if so.

    The caller holds the app's lock.
    """
    live = releases.live(app)
    if (
        live is None
        or live.site is None
        or not live.site.sleeps
        or live.stopped
        or is_asleep(app, live)
    ):
        return None
    resting = sleepers(live)
    if not resting or now - last_request(app, live) < live.site.sleeps:
        return None
    names = [process.vassal(app.name) for process in resting]
    left: set[int] = set()
    if ports.connections(process.address for process in resting):
        return None  # a WebSocket, or an answer that takes its time
    # From here on nginx finds nobody, and asks to wake it.
    files_module.write(_marker(app, live), "")
    emperor.disable(paths, names)
    if not is_asleep(app, live):
        emperor.enable(paths, names)  # somebody woke it between the two
        return None
    return Nap(names, left, live.stop_timeout)


def see_off(paths: Paths, naps: Sequence[Nap]) -> None:
    """End what the processes started that sleep since now. Nobody has to wait for that: an app that is woken
    meanwhile starts beside it."""
    for nap in naps:
        if nap.left:
            emperor.wait_gone(paths, nap.names, nap.grace)
            procfs.end(nap.left, nap.grace)


def sweep(paths: Paths) -> None:
    """End what processes have left that sleep: uWSGI, by whose own means some do, ends itself alone."""
    # In this order: what one that wakes meanwhile starts was not there yet.
    marked = procfs.marked(paths.root)
    states = emperor.observe(paths)
    if states is None:
        return
    for mark in set(marked.values()):
        name = VassalName.parse(mark)
        with contextlib.suppress(PikuError):  # one app's damaged record must not stop the others
            if name is not None and _rests(paths, name, states.get(name)):
                left = [pid for pid, other in marked.items() if other == mark]
                procfs.end(left, 1)


def _rests(paths: Paths, name: VassalName, state: State | None) -> bool:
    if state is not None:
        return state.asleep
    app = paths.app(name.app)
    live = releases.live(app)
    if live is None or not is_asleep(app, live):
        return False
    return name in (process.vassal(app.name) for process in sleepers(live))


def last_request(app: AppPaths, live: Live) -> float:
    """When nginx last noted an answer, or the app was started or woken; in seconds of the epoch."""
    noted = (app.access_log, app.start(live.start) / "activation.json", _woken(app, live))
    return max((path.stat().st_mtime for path in noted if path.exists()), default=0.0)


def wake(paths: Paths, app: AppPaths) -> float:
    """Start what sleeps, and wait until it listens; returns how many seconds that took.

    Raises PikuError when there is nothing to wake, it ends, or it does not listen in time.
    """
    begun = time.monotonic()
    before: dict[Process, int] = {}  # how often each had been started
    roused = False
    for _ in files_module.poll(begun + _PATIENCE, most=0.03):
        live = _to_wake(app)
        resting = sleepers(live)
        for process in resting:
            before.setdefault(process, 0)
        # Whoever waits for it is no connection to it yet: nobody may take it for idle.
        with contextlib.suppress(FileNotFoundError):  # another release went live
            _woken(app, live).touch()
        roused |= _rouse(paths, app, live)
        if any(health.accepts(process.address) for process in resting):
            took = time.monotonic() - begun
            if roused:
                _tell(app, resting, f"woken by a request, ready after {took:.2f} s")
            return took
        if all(_broke_down(app, process, before[process]) for process in resting):
            raise PikuError(f"{app.name} was to be woken, and ends before it listens")
    raise PikuError(f"{app.name} was woken, and does not listen after {_PATIENCE:.0f} s")


def _to_wake(app: AppPaths) -> Live:
    live = releases.live(app)
    if live is None or live.stopped or not sleepers(live):
        raise PikuError(f"{app.name} does not run")
    return live


def _rouse(paths: Paths, app: AppPaths, live: Live) -> bool:
    """Have the processes run again that sleep; returns whether they did."""
    # What is stopped for another reason is not to be started: a deploy may be at work.
    if not is_asleep(app, live):
        return False
    files_module.remove(_marker(app, live))
    names = [process.vassal(app.name) for process in sleepers(live)]
    emperor.enable(paths, names)
    if (now := releases.live(app)) is not None and now.start != live.start:
        emperor.disable(
            paths, set(names) - set(now.vassals(app.name))
        )  # a release went live meanwhile
    return True


def _broke_down(app: AppPaths, process: Process, before: int) -> bool:
    """Whether the process was started again and has ended since: it would not do better right away."""
    return before >= 0 and health.has_ended(app, process)


def _tell(app: AppPaths, resting: list[Process], text: str) -> None:
    with files.log_file(app, resting[0]).open("a") as log:
        log.write(f"[piku] {text}\n")


def _marker(app: AppPaths, live: Live) -> Path:
    return app.start(live.start) / "asleep"


def _woken(app: AppPaths, live: Live) -> Path:
    return app.start(live.start) / "woken"
