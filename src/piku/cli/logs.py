"""The command that shows what an app's processes write."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterable
from datetime import datetime

import click

from piku.cli.common import app_argument, release_number
from piku.errors import PikuError
from piku.operate import logs as reading
from piku.operate.logs import Line, Query
from piku.output import printable
from piku.paths import AppPaths

_LINES = 100
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_COLOURS = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")  # red is for failures


def _since(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> float:
    """The moment that "1h30m" or "2026-11-21 02:10" means, in seconds of the epoch."""
    if value is None:
        return 0
    if re.fullmatch(r"(?:[0-9]{1,6}[smhdw])+", value):
        parts = re.findall(r"([0-9]+)([smhdw])", value)
        return time.time() - sum(int(number) * _UNITS[unit] for number, unit in parts)
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError):
        hint = "write 90s, 30m, 1h, 2d or a time such as 2026-11-21T02:10"
        raise PikuError(f"--since {value[:60]!r} is not a time", hint=hint, code=2) from None


@click.command()
@app_argument
@click.argument("process", required=False, default="")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1_000_000),
    help=f"How many lines, of all processes together: {_LINES}, or with --since all.",
)
@click.option("--no-follow", is_flag=True, help="Print what there is, and exit.")
@click.option(
    "--since",
    metavar="TIME",
    callback=_since,
    help="No lines older than 90s, 30m, 1h, 2d, or a time such as 2026-11-21T02:10.",
)
@click.option(
    "--grep",
    metavar="TEXT",
    default="",
    help="Only lines with this text; a capital in it makes case count.",
)
@click.option(
    "--all", "everything", is_flag=True, help="Also uWSGI's remarks about its own starts."
)
@click.option("--release", metavar="N", help="Only what this release wrote, and exit.")
@click.option("--json", "as_json", is_flag=True, help="Each line as a JSON object, for scripts.")
def logs(
    app: AppPaths, process: str, lines: int | None, no_follow: bool, since: float, grep: str,
    everything: bool, release: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show the logs of an app's processes, and follow them.

    PROCESS is a type, or one such as web.1; `build` shows the transcript of deploys.
    """
    query = Query(
        process=process,
        release=None if release is None else release_number(app, release),
        count=_LINES if lines is None and not since else lines,
        since=since,
        text=grep,
        everything=everything,
    )
    known = reading.scan(app)
    chosen = reading.select_logs(app, known, query)
    printer = _Printer([log.process for log in chosen], as_json=as_json)
    printer.write(reading.history(app, chosen, query))
    if query.release is not None and not chosen:
        click.echo(f"v{query.release} left no logs; see: piku logs {app.name} build", err=True)
    if query.release is None and not no_follow and process != reading.BUILD:
        for batch in reading.follow(app, known, query):
            printer.write(batch)


class _Printer:
    """Prints lines with their process in front, or as JSON.

    Over SSH there may be a terminal at the other end; only a pipe or file on the server gets every
    byte as it was written.
    """

    def __init__(self, processes: Iterable[str], *, as_json: bool) -> None:
        self._as_json = as_json
        self._colours = {name: number for number, name in enumerate(sorted(set(processes)))}
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._raw = not sys.stdout.isatty() and "SSH_CLIENT" not in os.environ
        self._width = max(map(len, self._colours), default=0)

    def write(self, lines: Iterable[Line]) -> None:
        for line in lines:
            sys.stdout.buffer.write((_json(line) if self._as_json else self._text(line)) + b"\n")
        sys.stdout.buffer.flush()

    def _text(self, line: Line) -> bytes:
        text = line.text
        if not self._raw:
            shown = printable(text.decode(errors="surrogateescape"))
            text = shown.encode(errors="surrogateescape")
        if line.process == reading.BUILD:
            return text
        prefix = f"{line.process:<{self._width}} |"
        if self._coloured:
            number = self._colours.setdefault(line.process, len(self._colours))
            prefix = f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{prefix}\x1b[0m"
        return prefix.encode() + b" " + text


def _json(line: Line) -> bytes:
    moment = None if line.time is None else datetime.fromtimestamp(line.time).astimezone()
    value = {
        "time": moment and moment.isoformat(timespec="milliseconds"),
        "process": line.process,
        "release": line.release,
        "line": line.text.decode(errors="replace"),
    }
    return json.dumps(value).encode()
