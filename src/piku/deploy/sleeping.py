"""Apps whose `web` processes sleep while nobody asks for them (`UWSGI_IDLE`).

What uWSGI serves itself sleeps by uWSGI's own means: the emperor holds the socket. A `web` program
listens by itself, so it is stopped, and nginx has it woken when it meets nobody at its port.
"""

from __future__ import annotations

import time
from pathlib import Path

from piku import effects
from piku.deploy import health, records
from piku.deploy import vassals as files
from piku.deploy.records import Activation, Process
from piku.errors import PikuError
from piku.paths import AppPaths, Paths
from piku.serve import emperor, logmarks, sockets
from piku.serve.emperor import VassalName

_PATIENCE = 60.0  # seconds for a program to listen again


def sleepers(live: Activation) -> list[Process]:
    """The processes that are stopped while the app sleeps."""
    return [process for process in live.processes if process.kind == "web" and process.address]


def is_asleep(app: AppPaths, live: Activation) -> bool:
    return _marker(app, live).exists()


def is_sleeper(app: AppPaths, live: Activation, process: Process) -> bool:
    """Whether this process is stopped because the app sleeps."""
    return is_asleep(app, live) and process in sleepers(live)


def wanted(app: AppPaths, live: Activation | None) -> list[VassalName]:
    """The vassals that are to run now: all of the activation, without those that sleep."""
    if live is None:
        return []
    resting = sleepers(live) if is_asleep(app, live) else []
    return [process.vassal(app.name) for process in live.processes if process not in resting]


def doze(paths: Paths, app: AppPaths, now: float) -> bool:
    """Put the app to sleep if nobody asked for it long enough; returns whether it sleeps since now.

    The caller holds the app's lock.
    """
    live = records.live(app)
    if live is None or live.site is None or not live.site.idle or live.stopped or is_asleep(app, live):
        return False
    resting = sleepers(live)
    if not resting or now - last_request(app, live) < live.site.idle:
        return False
    if sockets.connections(process.address for process in resting):
        return False  # a WebSocket, or an answer that takes its time
    # From here on nginx finds nobody, and asks to wake it.
    effects.write(_marker(app, live), "")
    emperor.disable(paths, [process.vassal(app.name) for process in resting])
    return True


def last_request(app: AppPaths, live: Activation) -> float:
    """When nginx last noted an answer, or the app was started or woken; in seconds of the epoch."""
    noted = (app.access_log, app.activation(live.number) / "activation.json", _woken(app, live))
    return max((path.stat().st_mtime for path in noted if path.exists()), default=0.0)


def wake(paths: Paths, app: AppPaths) -> float:
    """Start what sleeps, and wait until it listens; returns how many seconds that took.

    Raises PikuError when there is nothing to wake, or it does not listen in time.
    """
    begun = time.monotonic()
    live = records.live(app)
    if live is None or live.stopped:
        raise PikuError(f"{app.name} does not run")
    resting = sleepers(live)
    _woken(app, live).touch()
    effects.remove(_marker(app, live))
    names = [process.vassal(app.name) for process in resting]
    emperor.enable(paths, names)
    if (now := records.live(app)) is not None and now.number != live.number:
        emperor.disable(paths, set(names) - set(now.vassals(app.name)))  # a release went live meanwhile
        resting = sleepers(now)
    for _ in effects.poll(begun + _PATIENCE, most=0.02):
        if any(health.accepts(process.address) for process in resting):
            took = time.monotonic() - begun
            _tell(app, resting, f"woken by a request, ready after {took:.2f} s")
            return took
    raise PikuError(f"{app.name} was woken, and does not listen after {_PATIENCE:.0f} s")


def _tell(app: AppPaths, resting: list[Process], text: str) -> None:
    with files.log_file(app, resting[0]).open("a") as log:
        log.write(logmarks.stamped(f"[piku] {text}", time.time()))


def _marker(app: AppPaths, live: Activation) -> Path:
    return app.activation(live.number) / "asleep"


def _woken(app: AppPaths, live: Activation) -> Path:
    return app.activation(live.number) / "woken"
