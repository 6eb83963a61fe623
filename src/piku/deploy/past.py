"""Removing what activations left that are over."""

from __future__ import annotations

import os
from pathlib import Path

from piku import effects
from piku.deploy import cron, leftovers, limits, records
from piku.deploy import vassals as files
from piku.deploy.records import Activation, Process
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.serve import emperor, logmarks, uwsgi


def clean(paths: Paths, app: AppPaths, live: Activation | None) -> None:
    """Remove what activations left that neither are live nor still stopping, nor have a job at work."""
    busy = {*emperor.enabled(paths, app.name), *(emperor.statistics(paths) or {})}
    leftovers.sweep(paths, app.name, busy, 3)
    keep = {name.activation for name in busy if name.app == app.name}
    keep |= {run["activation"] for run in cron.running(app).values()}
    if live is not None:
        keep |= {live.number, *(process.origin for process in live.processes)}
    for number in records.activation_numbers(app):
        over = records.load_activation(app, number)
        for process in over.processes if over else ():
            if over is not None and process.origin == number and process.vassal(app.name) not in busy:
                _clean_process(paths, app, live, over, process)
        if number not in keep:
            effects.remove(app.activation(number))
    _clean_links(app, live)
    limits.clean(app, live)
    leftovers.sweep_files(paths, app)


def _clean_process(
    paths: Paths, app: AppPaths, live: Activation | None, over: Activation, process: Process
) -> None:
    if live is not None and process in live.processes:
        return
    if live is not None and over.number < live.number and not process.schedules:
        _fold_log(app, over, process)
    if process.by_socket:
        effects.remove(Path(process.address))
    for ending in ("", uwsgi.DEMAND):
        effects.remove(paths.available / f"{process.vassal(app.name)}.ini{ending}")


def _fold_log(app: AppPaths, over: Activation, process: Process) -> None:
    """Move a past log to the process's `.old` file; that of a release that failed stays by itself."""
    log = files.log_file(app, process)
    release = effects.read_json(app.release_record(over.release))
    if release is None or release["outcome"] != records.SUCCEEDED:
        return
    text = effects.read(log)
    if text:
        old = app.logs / f"{process.worker}.log.old"
        past = logmarks.folded(effects.read(old), text, over.release, limit=1 << 20)
        written = log.stat().st_mtime
        effects.write(old, past, mode=0o640)
        os.utime(old, (written, written))  # the only time that its last lines may have
    effects.remove(log)


def _clean_links(app: AppPaths, live: Activation | None) -> None:
    """Remove stable names that lead nowhere any more."""
    socket = app.socket(1)
    for place in (*app.logs.glob("*.log"), socket, *socket.parent.glob(f"{app.name}{SEPARATOR}*.sock")):
        if place.is_symlink() and not (place.exists() or _is_live(app, live, place)):
            effects.remove(place)


def _is_live(app: AppPaths, live: Activation | None, place: Path) -> bool:
    # A process that has only just been started may not have made its socket or log yet.
    processes = live.processes if live else ()
    places = {app.socket(p.instance) for p in processes if p.by_socket}
    return place in places | {app.logs / f"{p.worker}.log" for p in processes}
