"""Removing what activations left that are over."""

from __future__ import annotations

import contextlib
import re
from functools import partial
from pathlib import Path

from piku import files as files_module
from piku.deploy import orphans, releases, scheduler
from piku.deploy import process_config as files
from piku.deploy.releases import Activation, Process
from piku.extras.limits import limits
from piku.operate import log_archive
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.uwsgi import emperor, ini

# A past log may always grow to this size, however small the current one is kept.
_LEAST = 1 << 20
_ATTEMPTS = 3  # uWSGI may move another file there meanwhile


def clean(paths: Paths, app: AppPaths, live: Activation | None) -> None:
    """Remove what activations left that neither are live nor still stopping, nor have a job at work."""
    busy = {*emperor.enabled(paths, app.name), *(emperor.statistics(paths) or {})}
    orphans.sweep(paths, app.name, busy, 3)
    keep = {name.activation for name in busy if name.app == app.name}
    keep |= {run["activation"] for run in scheduler.running(app).values()}
    if live is not None:
        keep |= {live.number, *(process.origin for process in live.processes)}
    for number in releases.activation_numbers(app):
        over = releases.load_activation(app, number)
        for process in over.processes if over else ():
            if (
                over is not None
                and process.origin == number
                and process.vassal(app.name) not in busy
            ):
                _clean_process(paths, app, live, over, process)
        if number not in keep:
            files_module.remove(app.activation(number))
    _clean_demands(paths, app)
    _clean_links(app, live)
    limits.clean(app, live)
    orphans.sweep_files(paths, app)


def _clean_demands(paths: Paths, app: AppPaths) -> None:
    """Remove what would have the emperor wait for a request to a vassal that it does not have: a command
    was killed between the two links."""
    for place in paths.enabled.glob(f"{app.name}{SEPARATOR}*{ini.DEMAND}"):
        if not place.with_suffix("").is_symlink():
            files_module.remove(place)


def _clean_process(
    paths: Paths, app: AppPaths, live: Activation | None, over: Activation, process: Process
) -> None:
    if live is not None and process in live.processes:
        return
    config = paths.available / f"{process.vassal(app.name)}.ini"
    if live is not None and over.number < live.number and not process.schedules:
        current = next((one for one in live.processes if one.worker == process.worker), process)
        latest = paths.available / f"{current.vassal(app.name)}.ini"
        _fold_log(app, over, process, max(_log_limit(latest, config), _LEAST))
    if process.by_socket:
        files_module.remove(Path(process.address))
    for place in (config, Path(f"{config}{ini.DEMAND}")):
        files_module.remove(place)


def _log_limit(*configs: Path) -> int:
    """At which size uWSGI moves a process's log away, as the first of these says that is there."""
    found = (
        re.search(r"^log-maxsize = ([0-9]+)$", files_module.read(path), re.MULTILINE)
        for path in configs
    )
    return next((int(match[1]) for match in found if match), 0)


def _fold_log(app: AppPaths, over: Activation, process: Process, limit: int) -> None:
    """Move a past log to the process's `.old` file; that of a release that failed stays by itself."""
    log = files.log_file(app, process)
    release = files_module.read_json(app.release_record(over.release))
    if release is None or release["outcome"] != releases.SUCCEEDED or not log.exists():
        return
    old = app.logs / f"{process.worker}.log.old"
    if not log.stat().st_size:
        files_module.remove(log)
    # A full disk is no reason to fail a release that is live: then this log stays by itself as well.
    with contextlib.suppress(OSError):
        for _ in range(_ATTEMPTS):
            if log.exists() and log_archive.fold(
                old, log, over.number, partial(_release_of, app), limit
            ):
                files_module.remove(log)


def _release_of(app: AppPaths, activation: int) -> int:
    """The release that an activation started, which may be gone."""
    numbers = reversed(releases.release_numbers(app))
    return next(
        (number for number in numbers if activation in releases.activations_of(app, number)), 0
    )


def _clean_links(app: AppPaths, live: Activation | None) -> None:
    """Remove stable names that lead nowhere any more."""
    socket = app.socket(1)
    for place in (
        *app.logs.glob("*.log"),
        socket,
        *socket.parent.glob(f"{app.name}{SEPARATOR}*.sock"),
    ):
        if place.is_symlink() and not (place.exists() or _is_live(app, live, place)):
            files_module.remove(place)


def _is_live(app: AppPaths, live: Activation | None, place: Path) -> bool:
    # A process that has only just been started may not have made its socket or log yet.
    processes = live.processes if live else ()
    places = {app.socket(p.instance) for p in processes if p.by_socket}
    return place in places | {app.logs / f"{p.worker}.log" for p in processes}
