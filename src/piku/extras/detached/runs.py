"""Commands that were started with `piku run --detach`, and go on by themselves.

Each is a job that nobody scheduled: the runner of scheduled jobs looks after it and keeps its log and
its record. A deploy lets it go on, and until it ends its release's files stay.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from piku import files, procfs, subprocesses
from piku.app import settings
from piku.deploy import app_env, cron_runner, scheduler
from piku.deploy.releases import Activation, Release
from piku.deploy.revision import Source
from piku.errors import PikuError
from piku.paths import SEPARATOR, AppPaths, Paths

KIND = "run"  # they are called run.1, run.2 and so on
_NAME = re.compile(rf"{KIND}\.([1-9][0-9]{{0,8}})")
_KEPT = 20  # logs of runs that are over

Run = Mapping[str, Any]


def running(app: AppPaths) -> dict[str, Run]:
    """The runs that are at work, by their name, the oldest first."""
    return {
        name: run for name, run in sorted(_recorded(app).items(), key=_by_number) if run is not None
    }


def _by_number(item: tuple[str, object]) -> int:
    return _number(item[0])


def _number(name: str) -> int:
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else 0


def _recorded(app: AppPaths) -> dict[str, Run | None]:
    """Every run of which there is a record; None for one that is over."""
    folder = scheduler.states_folder(app)
    names = [path.stem for path in folder.glob(f"{KIND}.*.json") if _number(path.stem)]
    runs = {name: cron_runner.load(str(folder), name).get("running") for name in names}
    return {
        name: run if run is not None and cron_runner.is_alive(run) else None
        for name, run in runs.items()
    }


def pid(run: Run) -> int:
    """The process of the command itself, or 0 when it has not begun or ended."""
    return _alive(run["job"])


def keeper(run: Run) -> int:
    """The process that has all of the run below it."""
    return _alive(run["runner"]) or pid(run)


def _alive(who: Sequence[Any] | None) -> int:
    return int(who[0]) if who is not None and procfs.is_running(who[0]) else 0


# --- beginning -----------------------------------------------------------------------------------


def begin(
    paths: Paths, app: AppPaths, live: Activation, release: Release, found: Source, command: str
) -> str:
    """Start a shell's command line in the live release, and return the run's name."""
    if KIND in found.procfile:
        raise PikuError(
            f"the Procfile has a process type {KIND!r}, and such a run would have its name",
            hint="give that process type another name",
        )
    folder = scheduler.states_folder(app)
    folder.mkdir(mode=0o700, exist_ok=True)
    app_env.make_folders(app)
    _forget(app)
    name = f"{KIND}.{_next_number(app)}"
    variables = app_env.variables(paths, app, release, found, next(iter(live.processes), None))
    told = {
        "release": release.number,
        "activation": live.number,
        "checkout": release.checkout,
        "environment": release.environment,
        "state": str(folder),
        "logs": str(app.logs),
        "log": f"{name}.log",
        "log_maxsize": settings.LOG_MAXSIZE.read(found.values),
        "cwd": str(app.releases / release.checkout),
        "env": variables,
        "marks": {procfs.MARK: _mark(app, name)},
        "command": f": {re.sub(r'[^ -~]+', ' ', command)[:200]}",
        "jobs": {name: {"argv": subprocesses.shell(command)}},
    }
    ended = subprocesses.spawn(
        [subprocesses.system_python(), "-IS", str(scheduler.RUNNER), name, cron_runner.DETACHED],
        stdin=json.dumps(told),
        env=variables,
    )
    for _ in files.poll(time.monotonic() + 10):
        over = ended()
        state = cron_runner.load(str(folder), name)
        if "last" in state or (state.get("running") or {}).get("job"):
            return name
        if over:
            break
    raise PikuError(f"{name} of {app.name} could not be started")


def _mark(app: AppPaths, name: str) -> str:
    return f"{app.name}{SEPARATOR}{name}"


def _next_number(app: AppPaths) -> int:
    """A number that no run of this app ever had."""
    counter = app.releases / "runs"
    with cron_runner.locked(str(scheduler.states_folder(app))):
        number = int(files.read(counter) or 0) + 1
        files.write(counter, f"{number}\n", durable=True)
    return number


def _forget(app: AppPaths) -> None:
    """Remove the logs and records of all but the last runs."""
    over = sorted((name for name, run in _recorded(app).items() if run is None), key=_number)
    for name in over[:-_KEPT]:
        for place in (app.logs / f"{name}.log", app.logs / f"{name}.log.old"):
            files.remove(place)
        files.remove(scheduler.states_folder(app) / f"{name}.json")


# --- ending --------------------------------------------------------------------------------------


def end(app: AppPaths, timeout: float, only: str = "") -> None:
    """End the runs of an app, or `only` one, and all that they started: SIGTERM, then SIGKILL."""
    for _ in files.poll(time.monotonic() + timeout + 10):
        procfs.end(_processes(app, only), timeout)
        if not {only} & running(app).keys() if only else not running(app):  # the runner has said so
            return


def _processes(app: AppPaths, only: str) -> set[int]:
    """What runs of them, known by the mark or by who started it: a program may drop its variables."""
    every = _mark(app, f"{KIND}.")
    found = {
        pid
        for pid, mark in procfs.marked(app.root).items()
        if (mark == _mark(app, only) if only else mark.startswith(every))
    }
    for name, run in running(app).items():
        if only in ("", name) and (job := pid(run)):
            found |= {job, *procfs.descendants(job)}
    return found - procfs.ancestors(os.getpid())
