"""What really runs: the emperor's vassals and the processes below them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from piku import effects
from piku.deploy import records
from piku.deploy import vassals as files
from piku.deploy.records import Activation, Process
from piku.paths import AppPaths, Paths
from piku.serve import emperor, processes, uwsgi
from piku.serve.emperor import State, VassalName


@dataclass(frozen=True, kw_only=True)
class Row:
    """One process as `ps` shows it: `pid` is the app's own (0 when none runs), `memory` in bytes,
    `uptime` in seconds."""

    worker: str
    release: int
    pid: int
    state: str
    uptime: int
    memory: int
    address: str


def rows(paths: Paths, app: AppPaths) -> list[Row]:
    """The processes of an app: those that should run, and those that still do."""
    live = records.live(app)
    states = {
        name: state for name, state in (emperor.statistics(paths) or {}).items() if name.app == app.name
    }
    wanted = {process.vassal(app.name): process for process in (live.processes if live else ())}
    found = [_row(app, live, name, process, states.get(name)) for name, process in wanted.items()]
    for name, state in states.items():
        if name not in wanted:
            found.append(_leftover(app, name, state))
    return found


def _row(
    app: AppPaths, live: Activation | None, name: VassalName, process: Process, state: State | None
) -> Row:
    release = live.release if live else 0
    if state is None:
        return Row(
            worker=name.worker,
            release=release,
            pid=0,
            state="down",
            uptime=0,
            memory=0,
            address=process.address,
        )
    pid = _own_pid(app, process, state)
    starts = len(effects.read(files.starts_file(app, process)).split())
    up = state.accepting if process.kind in uwsgi.MODIFIERS else pid != 0
    return Row(
        worker=name.worker,
        release=release,
        pid=pid or state.pid,
        state="up" if up else "crashing" if starts > 1 or state.respawns else "starting",
        uptime=max(0, int(time.time() - state.since)),
        memory=_memory(state.pid),
        address=process.address,
    )


def _leftover(app: AppPaths, name: VassalName, state: State) -> Row:
    activation = records.load_activation(app, name.activation)
    return Row(
        worker=name.worker, release=activation.release if activation else 0, pid=state.pid, state="stopping",
        uptime=max(0, int(time.time() - state.since)), memory=_memory(state.pid), address="",
    )  # fmt: skip


def _own_pid(app: AppPaths, process: Process, state: State) -> int:
    """The program that the Procfile names: below its vassal, as the last start noted it."""
    if process.kind in uwsgi.MODIFIERS:
        return state.pid
    starts = effects.read(files.starts_file(app, process)).split()
    last = int(starts[-1]) if starts and starts[-1].isdigit() else 0
    return last if last in processes.children(state.pid) else 0


def _memory(vassal: int) -> int:
    return sum(processes.memory(pid) for pid in (vassal, *processes.descendants(vassal)))
