"""Whether more processes of an app fit into the machine's memory."""

from __future__ import annotations

from collections.abc import Mapping

from piku.deploy.records import Activation
from piku.errors import PikuError
from piku.paths import AppPaths, Paths
from piku.serve import emperor, measures, processes

_MB = 2**20
# What the system and its other programs may come to need.
RESERVE = 64 * _MB


def refuse_too_many(paths: Paths, app: AppPaths, live: Activation, wanted: Mapping[str, int]) -> None:
    """Raise PikuError when what is to run besides would take more memory than there is."""
    have: dict[str, int] = {}
    for process in live.processes:
        have[process.kind] = have.get(process.kind, 0) + 1
    more = {kind: count - have.get(kind, 0) for kind, count in wanted.items() if count > have.get(kind, 0)}
    if more:
        decide(app.name, more, _takes(paths, app, live), processes.available_memory(), wanted)


def _takes(paths: Paths, app: AppPaths, live: Activation) -> dict[str, int]:
    """The memory of one process of each type that runs, in bytes: the largest, for others may yet grow."""
    states = emperor.statistics(paths) or {}
    look = measures.look()
    found: dict[str, int] = {}
    for process in live.processes:
        state = states.get(process.vassal(app.name))
        if state is not None:
            found[process.kind] = max(found.get(process.kind, 0), look.memory(state.pid))
    return {kind: taken for kind, taken in found.items() if taken}


def decide(
    app: str, more: Mapping[str, int], takes: Mapping[str, int], available: int, wanted: Mapping[str, int]
) -> None:
    """Raise PikuError unless `more` processes of each type have room; those of a type of which none runs
    are taken to need what the others do."""
    usual = max(takes.values(), default=0)
    each = {kind: takes.get(kind, usual) for kind in more}
    needed = sum(count * each[kind] for kind, count in more.items())
    room = max(0, available - RESERVE)
    if needed <= room:
        return
    parts = ", ".join(f"{count} more {kind} of {_mb(each[kind])} each" for kind, count in more.items())
    hint = "go ahead all the same with --force"
    if len(more) == 1:
        [(kind, count)] = more.items()
        hint = f"there is room for {kind}={wanted[kind] - count + room // each[kind]}; {hint}"
    raise PikuError(
        f"{app} would need {_mb(needed)} more memory ({parts}), and {_mb(room)} can be given away", hint=hint
    )


def _mb(size: int) -> str:
    return f"{size / _MB:.0f} MB"
