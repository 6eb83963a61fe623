"""What runs: the processes that an app should have, and those that the emperor has."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from piku import procfs
from piku.deploy import health, process_config, releases
from piku.deploy.releases import Process
from piku.extra import hooks
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor, ini
from piku.uwsgi.emperor import State, VassalName

States = Mapping[VassalName, State]

_STEADY = 10  # seconds that a program must run after two ends to count as up
_READ = 1 << 20  # bytes at the end of a log in which starts and ends are looked for
_ENDED = re.compile(rb"^\[piku\] \S+ ended with exit code (\d+)$", re.MULTILINE)
_START = b"*** Starting uWSGI "
_LOADED = b"\nspawned uWSGI master process"
_NOT_LOADED = b"GAME OVER ***"
_STOPPED = (b"\ngoodbye to uWSGI.", b"\nworkers have been inactive for more than ")
_WORKER_DIED = b"\nDAMN ! worker "


@dataclass(frozen=True, kw_only=True)
class Row:
    """One process: `pid` is the program's own (0: none), `uptime` in seconds, `memory` in bytes.

    `state` is up, starting, crashing, stopping, asleep, down, or unknown when the emperor does not
    answer. `restarts` are unplanned ones since this start, as far as the log goes; `exit_code` is
    that of the last. `last_lines` are what a crashing one wrote.
    """

    process: str
    release: int
    pid: int
    state: str
    uptime: int = 0
    memory: int = 0
    address: str = ""
    restarts: int = 0
    exit_code: int | None = None
    last_lines: tuple[str, ...] = ()


def rows(paths: Paths, app: AppPaths, states: States | None) -> list[Row]:
    """The processes of an app: those of its live record, those still stopping, those of extras.

    Raises PikuError when the live record is damaged.
    """
    live = releases.live(app)
    mine = {name: state for name, state in (states or {}).items() if name.app == app.name}
    wanted = {process.vassal(app.name): process for process in (live.processes if live else ())}
    kinds = [process.kind for process in wanted.values()]
    in_order = sorted(
        wanted.items(), key=lambda item: (kinds.index(item[0].kind), item[0].instance)
    )
    enabled = emperor.enabled(paths, app.name)
    found = []
    for name, process in in_order:
        assert live is not None
        row = Row(
            process=process.title,
            release=live.release,
            pid=0,
            state="unknown",
            address=process.address,
        )
        if states is not None:
            row = _seen(app, row, process, mine.get(name), enabled=name in enabled)
        found.append(row)
    found += [_leaving(app, name, mine[name]) for name in mine if name not in wanted]
    return [*found, *(row for further in hooks("rows") for row in further(app))]


def memory_of(pid: int) -> int:
    """Bytes that a process and all below it use; shared pages count by the share."""
    return sum(procfs.memory(each) for each in (pid, *procfs.descendants(pid))) if pid else 0


def _seen(app: AppPaths, row: Row, process: Process, state: State | None, *, enabled: bool) -> Row:
    log = process_config.log_file(app, process)
    text = _end_of(log)
    judge = _served if process.kind in ini.MODIFIERS else _daemon
    row = judge(app, row, process, state, text)
    if row.state == "down" and not enabled:
        return replace(row, state="asleep")
    if row.state == "crashing":
        return replace(row, last_lines=health.last_lines(log, 5))
    return row


def _daemon(app: AppPaths, row: Row, process: Process, state: State | None, log: bytes) -> Row:
    """The row of a program that uWSGI only watches."""
    codes = [int(code) for code in _ENDED.findall(log)]
    row = replace(row, restarts=len(codes), exit_code=codes[-1] if codes else None)
    if state is None or not state.pid:
        return replace(row, state="down")
    if process.schedules:  # its jobs are no part of it
        memory = procfs.memory(state.pid)
        return replace(row, state="up", pid=state.pid, memory=memory, uptime=_since(state))
    pid = health.daemon_pid(app, process, state.pid)
    uptime = int(procfs.age(pid)) if pid else 0
    is_looping = len(codes) > 1 and uptime < _STEADY
    current = (
        ("crashing" if codes else "starting") if not pid else "crashing" if is_looping else "up"
    )
    return replace(row, state=current, pid=pid, uptime=uptime, memory=memory_of(state.pid))


def _served(_app: AppPaths, row: Row, _process: Process, state: State | None, log: bytes) -> Row:
    """The row of an application that uWSGI serves. Between two attempts the emperor forgets a
    vassal that could not start; the app's log does not."""
    first, *starts = log.split(_START)
    last = starts[-1] if starts else first
    deaths = log.count(_WORKER_DIED)
    failed_before = any(_LOADED not in start for start in starts[-2:-1])
    failing = _NOT_LOADED in last or (failed_before and _LOADED not in last)
    failures = sum(not any(words in start for words in _STOPPED) for start in starts[:-1])
    row = replace(row, restarts=failures + deaths)
    if state is None or state.asleep:
        resting = "asleep" if state is not None else "down"
        return replace(row, state="crashing" if failing else resting)
    current = "up" if state.accepting else "starting"
    if not state.accepting and (state.respawns or failing):
        current = "crashing"
    if deaths > 1 and all(procfs.age(pid) < _STEADY for pid in procfs.children(state.pid)):
        current = "crashing"
    memory = memory_of(state.pid)
    return replace(row, state=current, pid=state.pid, uptime=_since(state), memory=memory)


def _since(state: State) -> int:
    return max(0, int(time.time() - state.since))


def _leaving(app: AppPaths, name: VassalName, state: State) -> Row:
    started = {start: one.number for one in releases.releases(app) for start in one.starts}
    return Row(
        process="cron-*" if name.kind == releases.SCHEDULER else name.worker,
        release=started.get(name.start, 0),
        pid=state.pid,
        state="stopping",
        uptime=_since(state),
        memory=memory_of(state.pid),
    )


def _end_of(log: Path) -> bytes:
    try:
        with log.open("rb") as file:
            start = max(0, os.fstat(file.fileno()).st_size - _READ)
            return os.pread(file.fileno(), _READ, start)
    except OSError:
        return b""
