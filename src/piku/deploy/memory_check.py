"""Whether more processes of an app fit into the machine's memory."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from piku import files, procfs
from piku.deploy.releases import Activation
from piku.errors import PikuError
from piku.operate import cpu
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor

_MB = 2**20
# What the system and its other programs may come to need.
RESERVE = 64 * _MB
# What a process is taken to need while none of its app has ever been measured: a small one of Python.
ASSUMED = 20 * _MB


def refuse_too_many(
    paths: Paths, app: AppPaths, live: Activation, wanted: Mapping[str, int]
) -> None:
    """Raise PikuError when what is to run besides would take more memory than there is."""
    have: dict[str, int] = {}
    for process in live.processes:
        have[process.kind] = have.get(process.kind, 0) + 1
    more = {
        kind: count - have.get(kind, 0)
        for kind, count in wanted.items()
        if count > have.get(kind, 0)
    }
    if more:
        decide(app.name, more, measure(paths, app, live), procfs.available_memory(), wanted)


def measure(paths: Paths, app: AppPaths, live: Activation) -> dict[str, int]:
    """The memory of one process of each type, in bytes: of those that run the largest, for others may yet
    grow; of a type of which none does what was measured last, for which it is kept."""
    before = _measured(app)
    found = {**before, **_takes(paths, app, live)}
    if found != before:
        with contextlib.suppress(OSError):  # a full disk must keep nobody from stopping an app
            files.write_json(_file(app), found)
    return found


def _file(app: AppPaths) -> Path:
    return app.releases / "memory"


def _measured(app: AppPaths) -> dict[str, int]:
    found: object = None
    with contextlib.suppress(PikuError):  # it is measured anew
        found = files.read_json(_file(app))
    pairs = found.items() if isinstance(found, dict) else ()
    return {kind: taken for kind, taken in pairs if isinstance(taken, int)}


def _takes(paths: Paths, app: AppPaths, live: Activation) -> dict[str, int]:
    states = emperor.statistics(paths) or {}
    look = cpu.look()
    found: dict[str, int] = {}
    for process in live.processes:
        state = states.get(process.vassal(app.name))
        if state is not None and not process.schedules:
            found[process.kind] = max(found.get(process.kind, 0), look.memory(state.pid))
    return {kind: taken for kind, taken in found.items() if taken}


def decide(
    app: str,
    more: Mapping[str, int],
    takes: Mapping[str, int],
    available: int,
    wanted: Mapping[str, int],
) -> None:
    """Raise PikuError unless `more` processes of each type have room; those of a type that was never
    measured are taken to need what the others do."""
    usual = max(takes.values(), default=ASSUMED)
    each = {kind: takes.get(kind, usual) for kind in more}
    needed = sum(count * each[kind] for kind, count in more.items())
    room = max(0, available - RESERVE)
    if needed <= room:
        return
    parts = ", ".join(
        f"{count} more {kind} of {_mb(each[kind])} each" for kind, count in more.items()
    )
    parts += "" if takes else ", which is a guess"
    hint = "go ahead all the same with --force"
    if len(more) == 1:
        [(kind, count)] = more.items()
        hint = f"there is room for {kind}={wanted[kind] - count + room // each[kind]}; {hint}"
    raise PikuError(
        f"{app} would need {_mb(needed)} more memory ({parts}), and {_mb(room)} can be given away",
        hint=hint,
    )


def _mb(size: int) -> str:
    return f"{size / _MB:.0f} MB"
