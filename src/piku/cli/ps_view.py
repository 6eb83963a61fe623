"""What `piku ps` says: lines for its output, and remarks on what is not well."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from piku.cli import limitlines, tables
from piku.cli.tables import Column
from piku.operate import summary
from piku.operate.ps import Row
from piku.operate.summary import Summary, Totals
from piku.output import duration

Said = tuple[list[str], list[str]]  # the lines and the remarks

_MB = 2**20
# The states of apps that are told of together, in a line.
_QUIET = (summary.ASLEEP, summary.STOPPED, summary.NOTHING, summary.NEVER)
_WHY = {
    summary.STOPPED: "is stopped",
    summary.NEVER: "was never live",
    summary.NOTHING: "runs no process",
    summary.UP: "runs no process: nginx serves its files",
}


def of_one(app: Summary, room: int | None) -> Said:
    """The processes of one app, each with where it listens and what it wrote before it ended."""
    if not app.processes:
        return [], [f"{app.app} {_WHY[app.state]}"]
    columns = (
        Column(head="PROCESS", long=True), Column(head="RELEASE"), Column(head="PID"), Column(head="STATE"),
        Column(head="CPU", number=True, spare=2), Column(head="MEMORY", number=True),
        Column(head="RESTARTS", number=True, spare=3), Column(head="UPTIME", number=True),
        Column(head="REQ/MIN", number=True, spare=1), Column(head="LISTENS ON", long=True),
    )  # fmt: skip
    body = [
        (
            row.worker,
            f"v{row.release}",
            str(row.pid or "-"),
            *_measured(row, answered),
            row.address or "-",
        )
        for row, answered in zip(app.processes, _answered(app), strict=True)
    ]
    remarks = []
    for row in (row for row in app.processes if row.state == "crashing"):
        ended = f"exit code {row.exit_code}, " if row.exit_code is not None else ""
        remarks += [
            "",
            f"{row.worker} keeps ending ({ended}{row.restarts} restarts). It wrote last:",
        ]
        remarks += [f"       {line}" for line in row.last_lines or ("(nothing)",)]
    limits = ["", f"Limits: {limitlines.line(app.limits)}"] if app.limits else []
    return [*tables.lines(columns, body, room), *limits], remarks


def of_all(apps: Sequence[Summary], totals: Totals, room: int | None) -> Said:
    """Every app's processes, then those that have none, a line each, then the sums."""
    columns = (
        Column(head="APP", long=True), Column(head="PROCESS", long=True), Column(head="RELEASE", spare=1),
        Column(head="STATE"), Column(head="CPU", number=True, spare=4), Column(head="MEMORY", number=True, spare=5),
        Column(head="RESTARTS", number=True, spare=2), Column(head="UPTIME", number=True, spare=3),
        Column(head="REQ/MIN", number=True),
    )  # fmt: skip
    table = tables.lines(columns, [cells for app in apps for cells in _cells(app)], room)
    limited = [f"Limits of {app.app}: {limitlines.line(app.limits)}" for app in apps if app.limits]
    parts = (table, limited, list(_quiet(apps, room)), [_sums(totals)])
    return [line for part in parts if part for line in ("", *part)][1:], _remarks(apps)


def _quiet(apps: Sequence[Summary], room: int | None) -> Iterator[str]:
    """The apps of which nothing runs, by their state."""
    for state in _QUIET:
        names = ", ".join(app.app for app in apps if app.state == state)
        if names:
            text = f"{state}: {names}"
            yield from textwrap.wrap(
                text, room or len(text), subsequent_indent="  ", break_on_hyphens=False
            )


def _cells(app: Summary) -> Iterator[tuple[str, ...]]:
    """An app's rows; one that sleeps is told of in another place."""
    if app.state in _QUIET:
        return
    if app.state == summary.UP and not app.processes:
        yield (
            app.app,
            "static",
            f"v{app.release}",
            "up",
            "-",
            "-",
            "-",
            "-",
            _number(app.requests_per_minute),
        )
    for row, answered in zip(app.processes, _answered(app), strict=True):
        yield app.app, row.worker, f"v{row.release}", *_measured(row, answered)


def _answered(app: Summary) -> Iterator[str]:
    """The requests of each process. What nginx counts of several together stands at the first of them."""
    together = app.counted_by_nginx
    first = True
    for row in app.processes:
        if row.requests_per_minute is None and row.address and together is not None:
            yield str(together) if first else ""
            first = False
        else:
            yield _number(row.requests_per_minute)


def _number(count: int | None) -> str:
    return "-" if count is None else str(count)


def _measured(row: Row, answered: str) -> tuple[str, ...]:
    if not row.pid:
        return row.state, "-", "-", str(row.restarts), "-", answered
    cpu = "-" if row.cpu is None else f"{row.cpu:.1f}%"
    return (
        row.state,
        cpu,
        f"{row.memory / _MB:.1f} MB",
        str(row.restarts),
        duration(row.uptime),
        answered,
    )


def _sums(totals: Totals) -> str:
    return (
        f"{_counted(totals.processes, 'process', 'es')} of {_counted(totals.apps, 'app', 's')},"
        f" {totals.memory / _MB:.1f} MB; {totals.available / _MB:.0f} MB available;"
        f" {totals.requests_per_minute} requests/min"
    )


def _counted(count: int, what: str, more: str) -> str:
    return f"{count} {what}{more if count != 1 else ''}"


def _remarks(apps: Sequence[Summary]) -> list[str]:
    found = [f" !     {app.app}: {app.error}" for app in apps if app.error]
    for app in apps:
        for row in (row for row in app.processes if row.state == "crashing"):
            why = "" if row.exit_code is None else f" with exit code {row.exit_code}"
            found.append(
                f" !     {row.worker} of {app.app} keeps ending{why}; see: piku ps {app.app}"
            )
    return found


# --- for scripts ---------------------------------------------------------------------------------


def json_of_one(app: Summary) -> str:
    """The rows of one app."""
    return json.dumps([asdict(row) for row in app.processes], indent=1)


def json_of_all(apps: Sequence[Summary], totals: Totals) -> str:
    """All apps with their rows, and the sums."""
    return json.dumps({"apps": [asdict(app) for app in apps], "totals": asdict(totals)}, indent=1)
