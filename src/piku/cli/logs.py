"""The command for what an app's processes write."""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from datetime import datetime

import click

from piku.cli.common import app_argument, release_number
from piku.errors import PikuError
from piku.operate import log_timestamps
from piku.operate import logs as reading
from piku.operate.loglines import Line
from piku.paths import AppPaths

_LINES = 100
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_COLOURS = (
    "36",
    "33",
    "32",
    "35",
    "34",
    "96",
    "93",
    "92",
    "95",
    "94",
)  # never red: that is for failures


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
        raise PikuError(
            f"--since {value[:60]!r} is no time",
            hint="say 90s, 30m, 1h, 2d or a time such as 2026-11-21T02:10",
            code=2,
        ) from None


@click.command()
@app_argument
@click.argument("process", required=False, default="")
@click.option(
    "-n", "--lines", type=click.IntRange(0, 1_000_000),
    help=f"How many lines, of all processes together: {_LINES}, or with --since all.",
)  # fmt: skip
@click.option("--no-follow", is_flag=True, help="Print what there is, and end.")
@click.option(
    "--since", metavar="TIME", callback=_since,
    help="No older lines than 90s, 30m, 1h, 2d, or a time such as 2026-11-21T02:10.",
)  # fmt: skip
@click.option(
    "--grep", metavar="TEXT", default="",
    help="Only lines with this text; capitals count when it has some.",
)  # fmt: skip
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also what uWSGI says of itself at each start and stop.",
)
@click.option("--release", metavar="N", help="Only what this release wrote, and end.")
@click.option("--json", "as_json", is_flag=True, help="Each line as a JSON object, for scripts.")
def logs(
    app: AppPaths, process: str, lines: int | None, no_follow: bool, since: float, grep: str,
    everything: bool, release: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what an app's processes write, in the order of time, and follow it.

    PROCESS is a type, or one such as web.1; `build` shows the transcript of deploys.
    """
    count = _LINES if lines is None and not since else lines
    wanted = reading.Wanted(count=count, since=since, text=grep, everything=everything)
    if process == "build":
        _print(reading.transcript(app, wanted), _json if as_json else _shown_text)
        return
    number = None if release is None else release_number(app, release)
    follows = not no_follow and number is None
    opened = reading.Logs(app, process, release=number, following=follows)
    form = _json if as_json else _Shown(opened.workers)
    found = _print(opened.history(wanted), form)
    if number is not None and not found and not grep and not since:
        click.echo(
            f"nothing is left of what v{number} wrote; its deploy: piku logs {app.name} build",
            err=True,
        )
    if follows:
        for batch in opened.follow(wanted, _began):
            _print(batch, form)


def _began(worker: str, release: int) -> None:
    click.echo(f"== {worker} of v{release} ==", err=True)


def _print(lines: Iterable[Line], form: Callable[[Line], bytes]) -> int:
    """Print lines; returns how many there were."""
    # As bytes: what is no text is handed on as it was written.
    out = sys.stdout.buffer
    count = 0
    for line in lines:
        out.write(form(line) + b"\n")
        count += 1
    out.flush()
    return count


def _shown_text(line: Line) -> bytes:
    """A line as it was written, without what a terminal would obey: whoever sends a request can have that logged.

    Over SSH there may be a terminal at the other end. Only a pipe or file on the server gets every byte.
    """
    return log_timestamps.harmless_bytes(line.text) if _may_be_terminal() else line.text


@functools.cache
def _may_be_terminal() -> bool:
    return sys.stdout.isatty() or "SSH_CLIENT" in os.environ


def _json(line: Line) -> bytes:
    return json.dumps(
        {
            "time": datetime.fromtimestamp(line.time)
            .astimezone()
            .isoformat(timespec="milliseconds"),
            "process": line.worker,
            "release": line.release,
            "line": line.text.decode(errors="replace"),
        }
    ).encode()


class _Shown:
    """Lines for people: the time, which process, and the line as it was written."""

    def __init__(self, workers: Iterable[str]) -> None:
        self._colours: dict[str, str] = {}
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._width = 0
        for worker in workers:
            self._know(worker)

    def _know(self, worker: str) -> None:
        # By its name, so that it is the same the next time; the next one where two would be alike.
        self._width = max(self._width, len(worker))
        first = zlib.crc32(worker.encode()) % len(_COLOURS)
        order = (*_COLOURS[first:], *_COLOURS[:first])
        free = [colour for colour in order if colour not in self._colours.values()]
        self._colours[worker] = (free or order)[0]

    def __call__(self, line: Line) -> bytes:
        if line.worker not in self._colours:
            self._know(line.worker)
        prefix = f"{_clock(int(line.time), int(time.time()) // 60)} {line.worker:<{self._width}} |"
        if self._coloured:
            prefix = f"\x1b[{self._colours[line.worker]}m{prefix}\x1b[0m"
        return prefix.encode() + b" " + _shown_text(line)


@functools.lru_cache(maxsize=8)
def _clock(seconds: int, minute: int) -> str:
    """A time of day, with its date unless that is the one of the minute in which it is shown."""
    when = time.localtime(seconds)
    today = when[:3] == time.localtime(minute * 60)[:3]
    return time.strftime("%H:%M:%S" if today else "%b %d %H:%M:%S", when)
