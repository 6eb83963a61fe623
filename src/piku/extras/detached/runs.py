"""Starting, finding and ending detached commands, which are called run.1, run.2 and so on."""

from __future__ import annotations

import functools
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from piku import files, procfs, subprocesses
from piku.deploy import releases
from piku.deploy.releases import Live, Release
from piku.errors import PikuError
from piku.extras import shared
from piku.operate.ps import Row
from piku.paths import SEPARATOR, AppPaths, Paths

if TYPE_CHECKING:
    from piku.deploy.revision import Revision

KIND = "run"
_NAME = re.compile(rf"{KIND}\.([1-9][0-9]{{0,8}})")
_KEPT = 20  # logs of runs that have ended
_GRACE = 10.0  # seconds between SIGTERM and SIGKILL where the app has no live release to say

# SIGTERM goes to every process of a run: this shell waits for the program and writes how it ended.
_WRAPPER = """\
trap : TERM HUP
name=$1
printf '[piku] %s starts: %s\\n' "$name" "$2"
shift 2
"$@"
printf '[piku] %s ended with exit code %s\\n' "$name" "$?"
"""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that has not ended. `leader` is its oldest process."""

    name: str
    leader: int
    processes: frozenset[int]

    @property
    def release(self) -> int:
        """The release whose files it uses; 0 when it has just ended."""
        environment = files.read(Path(f"/proc/{self.leader}/environ"))
        found = re.search(r"(?:^|\0)PIKU_RELEASE=([0-9]+)\0", environment)
        return int(found[1]) if found else 0


@functools.lru_cache(1)
def _marked(root: Path, _second: int) -> dict[int, str]:
    """All marked processes. A command that goes through all apps looks for them once a second."""
    return procfs.marked(root)


def running(app: AppPaths) -> dict[str, Run]:
    """The runs of an app by name, the oldest first."""
    found: dict[str, dict[int, int]] = {}  # when each process started, by run
    for pid, mark in _marked(app.root, int(time.monotonic())).items():
        owner, _, name = mark.partition(SEPARATOR)
        if owner == app.name and _NAME.fullmatch(name) and (since := procfs.started(pid)):
            found.setdefault(name, {})[pid] = int(since)
    return {
        name: Run(
            name=name,
            leader=min(pids, key=lambda pid: (pids[pid], pid)),
            processes=frozenset({*pids}.union(*(procfs.descendants(pid) for pid in pids))),
        )
        for name, pids in sorted(found.items(), key=lambda item: _number(item[0]))
    }


def releases_in_use(app: AppPaths) -> set[int]:
    """The releases whose files must stay until their runs have ended."""
    return {run.release for run in running(app).values()}


def rows(app: AppPaths) -> list[Row]:
    """The runs as `piku ps` shows them."""
    return [
        Row(
            process=run.name,
            release=run.release,
            pid=run.leader,
            state="running",
            uptime=int(procfs.age(run.leader)),
            memory=procfs.tree_memory(run.leader),
        )
        for run in running(app).values()
    ]


def start(
    paths: Paths, app: AppPaths, live: Live, release: Release, found: Revision, command: str
) -> str:
    """Start a shell's command line in the live release and return the run's name."""
    from piku.deploy import revision  # `piku ps` needs nothing of it

    if KIND in found.procfile:
        hint = f"detached commands are called {KIND}.1, {KIND}.2 and so on: rename it"
        raise PikuError(f"the Procfile has a process type {KIND!r}", hint=hint)
    logs = _logs(app)
    for old in sorted(logs.keys() - running(app).keys(), key=_number)[:-_KEPT]:
        files.remove(logs[old])
    name, log = _new_log(app)
    process = next(iter(live.processes), None)
    variables = revision.process_variables(paths, app, release, found, process)
    argv = revision.confined(app, release, found, subprocesses.shell(command), once=True)
    mark = {procfs.MARK: f"{app.name}{SEPARATOR}{name}"}
    try:
        shared.spawn(
            ["/bin/sh", "-c", _WRAPPER, "sh", name, command, *argv],
            cwd=app.releases / release.checkout,
            env=variables | mark,
            output=log,
        )
    finally:
        os.close(log)
    return name


def _new_log(app: AppPaths) -> tuple[str, int]:
    """The next name that no run of the app has had, and the log that claims it, opened."""
    number = max(map(_number, (*_logs(app), *running(app))), default=0)
    path = app.logs / f"{KIND}.{number + 1}.log"
    try:
        return path.stem, os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o640)
    except FileExistsError:  # somebody else started one just now
        return _new_log(app)


def _logs(app: AppPaths) -> dict[str, Path]:
    return {path.stem: path for path in app.logs.glob("*.log") if _NAME.fullmatch(path.stem)}


def _number(name: str) -> int:
    return int(name.partition(".")[2])


def stop(app: AppPaths, name: str) -> None:
    """End a run with all that it started; raises PikuError when it does not run, or not end."""
    found = running(app)
    if name not in found:
        hint = f"running: {', '.join(found)}" if found else "see what runs with: piku ps"
        raise PikuError(f"{app.name} has no detached command {name[:60]!r}", hint=hint)
    live = releases.live(app)
    if procfs.end(found[name].processes, live.stop_timeout if live else _GRACE):
        raise PikuError(f"{name} of {app.name} did not end")


def end_all(_paths: Paths, app: AppPaths) -> None:
    """End every run of an app."""
    procfs.end({pid for run in running(app).values() for pid in run.processes}, _GRACE)
