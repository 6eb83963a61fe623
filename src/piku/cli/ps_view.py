"""The lines of `piku ps`, and remarks on processes that crash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from piku.operate import summary
from piku.operate.ps import Row
from piku.operate.summary import Summary
from piku.output import duration, table

_MB = 2**20
_HEAD = ("PROCESS", "RELEASE", "PID", "STATE", "UPTIME", "MEMORY", "RESTARTS")
_WHY = {
    summary.STOPPED: "is stopped",
    summary.NEVER: "was never live",
    summary.NOTHING: "has no process",
    summary.UP: "has no process: nginx serves its files",
}


def of_one(app: Summary) -> list[str]:
    """The processes of one app, with where each listens."""
    if not app.processes:
        return [f"{app.app} {_WHY[app.state]}"]
    return table([(*_HEAD, "ADDRESS"), *((*_cells(row), row.address) for row in app.processes)])


def of_all(apps: Sequence[Summary]) -> list[str]:
    """The processes of all apps, then the apps that have none by their state."""
    rows = [(app.app, *_cells(row)) for app in apps for row in app.processes]
    lines = table([("APP", *_HEAD), *rows]) if rows else []
    for state in _WHY:
        names = [app.app for app in apps if app.state == state and not app.processes]
        if names:
            label = "static" if state == summary.UP else state
            lines += [f"{label}: {', '.join(names)}"]
    return lines


def remarks(apps: Sequence[Summary]) -> Iterator[str]:
    """What is wrong: damaged records and crashing processes."""
    for app in apps:
        if app.error:
            yield f" !     {app.app}: {app.error}"
        for row in app.processes:
            if row.state == "crashing":
                code = "" if row.exit_code is None else f" with exit code {row.exit_code}"
                yield f" !     {row.process} of {app.app} keeps ending{code}. Its last lines:"
                yield from (f"       {line}" for line in row.last_lines or ("(none)",))


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.process,
        f"v{row.release}",
        str(row.pid or "-"),
        row.state,
        duration(row.uptime) if row.pid else "-",
        f"{row.memory / _MB:.1f} MB" if row.pid else "-",
        str(row.restarts),
    )
