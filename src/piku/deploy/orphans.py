"""What processes of an app started and leave behind: daemons of their own, children in other groups.

uWSGI ends a daemon's process group, and its own workers. Whatever else belongs to a process is found
below it, or by the mark in its variables. And the files that our own commands leave when they are killed.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from piku import files, procfs
from piku.app.procfile import UWSGI_SERVED
from piku.deploy.releases import SCHEDULER
from piku.paths import AppName, AppPaths, Paths
from piku.uwsgi import emperor
from piku.uwsgi.emperor import VassalName


def escaping(paths: Paths, names: Collection[VassalName]) -> set[int]:
    """The processes that would outlive these vassals, which still run."""
    states = emperor.statistics(paths) or {}
    marked = procfs.marked(paths.root)
    found: set[int] = set()
    for name in (name for name in names if name.kind != SCHEDULER):  # a job is let finish
        state = states.get(name)
        below = list(procfs.descendants(state.pid)) if state else []
        direct = set(procfs.children(state.pid)) if state else set()
        belonging = {*below, *(pid for pid, mark in marked.items() if mark == str(name))}
        if name.kind in UWSGI_SERVED:
            # Its workers; a program that the app started is a child as well.
            belonging -= {pid for pid in direct if state and procfs.same_program(pid, state.pid)}
        else:
            belonging = {pid for pid in belonging if procfs.group(pid) not in direct}
        found |= belonging - ({state.pid} if state else set())
    return found - procfs.ancestors(os.getpid())


def end(pids: Iterable[int], grace: float) -> None:
    """End what was found before its vassals stopped."""
    left = [pid for pid in pids if procfs.is_running(pid)]
    # uWSGI loads an app with both of these ignored, and what the app starts then inherits that: nobody
    # there has asked for time, and to wait for it would be in vain.
    deaf = [pid for pid in left if procfs.ignores(pid, signal.SIGTERM, signal.SIGHUP)]
    procfs.end(deaf, 0)
    procfs.end([pid for pid in left if pid not in deaf], grace)


def kill(masters: Iterable[int]) -> None:
    """Kill these processes with all that is below them."""
    for master in masters:
        if master > 0:  # one that sleeps has none
            procfs.end([master, *procfs.descendants(master)], 0)


def sweep(paths: Paths, app: AppName, busy: Collection[VassalName], grace: float) -> None:
    """End what is marked as of processes of the app that are no more."""
    alive = {str(name) for name in busy}
    own = procfs.ancestors(os.getpid())
    marked = (
        (pid, mark, VassalName.parse(mark)) for pid, mark in procfs.marked(paths.root).items()
    )
    over = [
        pid
        for pid, mark, name in marked
        if name is not None and name.app == app and mark not in alive and pid not in own
    ]
    procfs.end(over, grace)


def sweep_files(paths: Paths, app: AppPaths) -> None:
    """Remove what commands that were killed had begun to write."""
    activations = app.activation(0).parent
    ours = (*paths.FOLDERS, "certificates")
    shared = (
        paths.root,
        *(paths.root / name for name in ours if name not in ("data", "cache", "plugins")),
    )
    own = (
        app.releases,
        app.envs,
        app.logs,
        activations,
        *activations.glob("*"),
        app.releases / "cron",
    )
    for folder in (*shared, *own, Path(tempfile.gettempdir())):
        files.sweep(folder)
