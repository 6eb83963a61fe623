"""What runs: the processes that an app should have, and those that the emperor has."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from piku import procfs
from piku.deploy import health, releases
from piku.deploy.releases import Live, Process
from piku.errors import PikuError
from piku.extra import hooks
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor
from piku.uwsgi.emperor import State, VassalName

States = Mapping[VassalName, State]

UP, ASLEEP, STATIC, STOPPED, NEVER, NOTHING, UNKNOWN = (
    "up", "asleep", "static", "stopped", "never live", "no process", "unknown",
)  # fmt: skip
_STEADY = 10  # seconds that a program must run after two ends to count as up
_READ = 1 << 20  # bytes at the end of a log in which starts and ends are looked for
_STARTED = "*** Starting uWSGI"
_NOT_LOADED, _LOADED = "GAME OVER ***", "\nspawned uWSGI master process"
_FAILURE = re.compile(
    r"^(?:\[piku\] \S+ ended with exit code (\d+)$|DAMN ! worker |.*GAME OVER \*\*\*)",
    re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One process: `pid` is the program's own (0: none), `uptime` in seconds, `memory` in bytes.

    `state` is up, starting, crashing, stopping, asleep, down, or unknown when the emperor does not
    answer. `restarts` are those after a failure since this start, as far as the log goes;
    `exit_code` is that of the last, and `last_lines` are what a crashing one wrote.
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


@dataclass(frozen=True, kw_only=True)
class AppState:
    """One app: `state` is "up" when it has processes, "unknown" when `error` says why."""

    app: str
    state: str
    release: int | None = None
    processes: tuple[Row, ...] = ()
    error: str = ""


def of_all(paths: Paths, states: States | None) -> list[AppState]:
    """Every app, by name. One whose records are damaged does not hide the others."""
    found = []
    for name in paths.app_names():
        try:
            found.append(of(paths, paths.app(name), states))
        except (PikuError, OSError) as error:
            found.append(AppState(app=name, state=UNKNOWN, error=str(error)))
    return found


def of(paths: Paths, app: AppPaths, states: States | None) -> AppState:
    """One app; raises PikuError when its records are damaged."""
    live = releases.live(app)
    found = rows(paths, app, live, states)
    if found:
        state = ASLEEP if all(row.state == ASLEEP for row in found) else UP
    elif live is None or live.stopped:
        state = NEVER if live is None else STOPPED
    else:
        state = STATIC if live.site and live.site.static else NOTHING
    release = live.release if live else None
    return AppState(app=app.name, state=state, release=release, processes=tuple(found))


def rows(paths: Paths, app: AppPaths, live: Live | None, states: States | None) -> list[Row]:
    """The processes of an app: those of its live record, those still stopping, those of extras."""
    processes = live.processes if live else ()
    kinds = [process.kind for process in processes]
    enabled = emperor.enabled(paths, app.name)
    found, wanted = [], set()
    for process in sorted(processes, key=lambda one: (kinds.index(one.kind), one.instance)):
        assert live is not None
        name = process.vassal(app.name)
        wanted.add(name)
        row = Row(
            process=process.title, release=live.release, pid=0, state=UNKNOWN,
            address=process.now(app).address,
        )  # fmt: skip
        if states is not None:
            row = _seen(app, row, process, states.get(name))
            if row.state == "down" and name not in enabled:
                row = replace(row, state=ASLEEP)
        found.append(row)
    found += [
        _leaving(app, name, state)
        for name, state in (states or {}).items()
        if name.app == app.name and name not in wanted
    ]
    return [*found, *(row for further in hooks("rows") for row in further(app))]


def _seen(app: AppPaths, row: Row, process: Process, state: State | None) -> Row:
    """The row of a process that should run, by what the emperor and its log say."""
    is_served = process.served
    file = process.log(app)
    log = health.tail(file, _READ)
    failures = _FAILURE.findall(log)
    pid = vassal = state.pid if state else 0
    if not is_served and not process.schedules:
        pid = health.daemon_pid(app, process, vassal)
    working = procfs.children(pid) if is_served else [pid]
    are_young = all(procfs.age(one) < _STEADY for one in working if one)
    # The log goes on after a reboot.
    recent = _FAILURE.findall(log, max(0, log.rfind(_STARTED)))
    # Between two attempts the emperor forgets a vassal that could not load; its log does not.
    if is_served and log.rfind(_NOT_LOADED) > log.rfind(_LOADED):
        current = "crashing"
    elif state is None or not vassal:
        current = ASLEEP if state and state.asleep else "down"
    elif (len(recent) > 1 and are_young) or (recent and not pid):
        current = "crashing"
    elif not pid or (is_served and not state.accepting):
        current = "crashing" if is_served and state.respawns else "starting"
    else:
        current = UP
    return replace(
        row,
        state=current,
        pid=pid,
        uptime=int(procfs.age(pid)) if pid else 0,
        memory=procfs.tree_memory(vassal),
        restarts=len(failures),
        exit_code=int(failures[-1]) if failures and failures[-1] else None,
        last_lines=health.last_lines(file, 5) if current == "crashing" else (),
    )


def _leaving(app: AppPaths, name: VassalName, state: State) -> Row:
    started = {start: one.number for one in releases.releases(app) for start in one.starts}
    return Row(
        process="cron-*" if name.kind == releases.SCHEDULER else name.worker,
        release=started.get(name.start, 0),
        pid=state.pid,
        state="stopping",
        uptime=int(procfs.age(state.pid)),
        memory=procfs.tree_memory(state.pid),
    )
