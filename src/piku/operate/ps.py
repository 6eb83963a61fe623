"""What really runs: the emperor's vassals and the processes below them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from piku import procfs
from piku.deploy import health
from piku.deploy import process_config as files
from piku.deploy.releases import Live, Process
from piku.extra import hooks
from piku.extras.limits import limits
from piku.extras.status import requests
from piku.operate import cpu as cpu_module
from piku.operate import uwsgi_log_events
from piku.operate.cpu import Look
from piku.operate.uwsgi_log_events import Said
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor, ini
from piku.uwsgi.emperor import State, VassalName

# A program that ended more than once within so many seconds, and runs for fewer than the second
# number of seconds now, is going to end again.
_LOOP, _STEADY = 60, 10
# Seconds at least between the two looks that tell what a process takes.
_BETWEEN = 0.1


@dataclass(frozen=True, kw_only=True)
class Row:
    """One process as `ps` shows it: `pid` is the app's own (0 when none runs), `memory` in bytes,
    `uptime` in seconds, `cpu` in percent of one processor. `restarts` are those that nobody asked for, and
    `exit_code` is that of its last end, both since it was deployed or woken or the platform started (what
    uWSGI serves itself: as far as its log goes, without a code); of one that is crashing `last_lines` are
    what it wrote last. `requests_per_minute` is
    None for what answers none, or is counted by nginx for all of the app's together."""

    worker: str
    release: int
    pid: int
    state: str
    uptime: int
    memory: int
    address: str
    cpu: float | None = None
    restarts: int = 0
    requests_per_minute: int | None = None
    exit_code: int | None = None
    last_lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Sight:
    """What was seen of the whole server at one moment; without an emperor `states` is None."""

    states: Mapping[VassalName, State] | None
    before: Look
    now: Look
    when: float

    def of(self, app: AppPaths) -> dict[VassalName, State]:
        return {name: state for name, state in (self.states or {}).items() if name.app == app.name}

    def cpu(self, pid: int) -> float | None:
        return cpu_module.percent(self.before, self.now, pid) if pid in self.now.spent else None


class Observer:
    """Looks at the server, again and again; each look tells what was taken since the one before."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._before = cpu_module.look()

    def look(self) -> Sight:
        states = emperor.observe(self._paths)
        time.sleep(max(0.0, self._before.when + _BETWEEN - time.monotonic()))
        before, self._before = self._before, cpu_module.look()
        return Sight(states=states, before=before, now=self._before, when=time.time())


def rows(app: AppPaths, live: Live | None, sight: Sight) -> list[Row]:
    """The processes of an app: those that should run, those that still do, and what somebody let run."""
    states = sight.of(app)
    wanted = {process.vassal(app.name): process for process in (_in_order(live) if live else ())}
    answered = requests.by_process(app, live, sight.when) if live else {}
    found = [
        _row(app, live, process, states.get(name), sight, answered.get(process.worker))
        for name, process in wanted.items()
        if live is not None
    ]
    found += [
        _leftover(app, name, state, sight) for name, state in states.items() if name not in wanted
    ]
    return [*found, *(row for further in hooks("rows") for row in further(app, sight))]


@dataclass(frozen=True, kw_only=True)
class Notes:
    pid: int = 0
    started: int = 0
    has_ended: bool = False


def _in_order(live: Live) -> list[Process]:
    """Processes of a type together: those that scaling added come last in the record."""
    kinds = list(dict.fromkeys(process.kind for process in live.processes))
    return sorted(live.processes, key=lambda process: (kinds.index(process.kind), process.instance))


def _row(
    app: AppPaths,
    live: Live,
    process: Process,
    state: State | None,
    sight: Sight,
    answered: int | None,
) -> Row:
    served = process.kind in ini.MODIFIERS
    said = uwsgi_log_events.read(files.log_file(app, process)) if served else Said()
    noted = _noted(app, process, state, sight) if state is not None else Notes()
    shown = _state(app, live, process, state, noted, said, sight)
    row = Row(
        worker=process.title,
        release=live.release,
        pid=0,
        state=shown,
        uptime=0,
        memory=0,
        address=process.address,
        restarts=_restarts(app, live, process, noted, said) + (state.respawns if state else 0),
        requests_per_minute=answered,
        exit_code=None,
        last_lines=health.last_lines(files.log_file(app, process), 5)
        if shown == "crashing"
        else (),
    )
    return row if state is None else _measured(row, process, state, noted, sight)


def _measured(row: Row, process: Process, state: State, noted: Notes, sight: Sight) -> Row:
    """The row of one that the emperor runs, with what it takes."""
    pid = state.pid if process.kind in ini.MODIFIERS else noted.pid
    return replace(
        row,
        pid=pid,
        uptime=max(0, int(sight.when - (noted.started or state.since))) if pid else 0,
        # Jobs are not always below the scheduler: its own memory is what can be told.
        memory=procfs.memory(state.pid) if process.schedules else sight.now.memory(state.pid),
        cpu=sight.cpu(state.pid),
    )


def _noted(app: AppPaths, process: Process, state: State, sight: Sight) -> Notes:
    pid = next(iter(sight.now.children.get(state.pid, ())), 0)
    ended = health.has_ended(app, process)
    return Notes(pid=pid, started=int(sight.when - procfs.age(pid)), has_ended=ended)


def _restarts(app: AppPaths, live: Live, process: Process, noted: Notes, said: Said) -> int:
    if process.kind in ini.MODIFIERS:
        # Of those that the kernel killed, uWSGI's log may have been told as well.
        return said.failures + max(said.deaths, limits.killed(app, live, process))
    return 0


def _state(
    app: AppPaths, live: Live, process: Process, state: State | None, noted: Notes, said: Said, sight: Sight
) -> str:  # fmt: skip
    paths = Paths(root=app.root, home=app.root.parent)
    if any(process.vassal(app.name) in hook(paths, app, live) for hook in hooks("resting")):
        return "asleep"  # it may still be about to end
    if process.kind in ini.MODIFIERS:
        return _served(state, said, sight)
    if state is None:
        return "down"
    return _daemon(noted, sight.when)


def _served(state: State | None, said: Said, sight: Sight) -> str:
    """The state of what uWSGI serves itself. The emperor forgets a vassal that could not start, until it
    tries again; the app's own log does not."""
    if state is None or state.asleep:
        resting = "asleep" if state is not None else "down"
        return "crashing" if said.failing and sight.states is not None else resting
    if not state.accepting:
        return "crashing" if state.respawns or said.failed_before else "starting"
    return "crashing" if said.deaths_in_a_row > 1 and _is_young(state.pid, sight) else "up"


def _is_young(master: int, sight: Sight) -> bool:
    """Whether no worker process has run for long, or none does."""
    return all(procfs.age(pid) < _LOOP for pid in sight.now.children.get(master, ()))


def _daemon(noted: Notes, now: float) -> str:
    if noted.pid and not (noted.has_ended and now - noted.started < _STEADY):
        return "up"
    return "crashing" if noted.has_ended else "starting"


def _leftover(app: AppPaths, name: VassalName, state: State, sight: Sight) -> Row:
    return Row(
        worker=name.worker,
        release=0,
        pid=state.pid,
        state="stopping",
        uptime=max(0, int(sight.when - state.since)),
        memory=sight.now.memory(state.pid),
        address="",
        cpu=sight.cpu(state.pid),
    )
