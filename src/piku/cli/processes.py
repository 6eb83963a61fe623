"""Commands for the processes of an app: what runs, how many, and what they write."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import click

from piku.cli.common import (
    app_argument,
    json_option,
    optional_app_argument,
    pass_paths,
    release_number,
)
from piku.extra import hooks
from piku.operate import logs as reading
from piku.operate import ps as observing
from piku.operate.logs import Line
from piku.operate.ps import AppState
from piku.output import duration, printable, table
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor

_HEAD = ("APP", "PROCESS", "RELEASE", "PID", "STATE", "UPTIME", "MEMORY", "RESTARTS", "ADDRESS")
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)  # red is for failures


@click.command()
@optional_app_argument
@json_option
@pass_paths
def ps(paths: Paths, app: AppPaths | None, as_json: bool) -> None:
    """Show the processes of all apps, or of APP: state, memory and restarts.

    MEMORY counts shared pages proportionally; JSON has bytes and seconds. To watch it:
    `watch ssh piku@SERVER ps`.
    """
    states = emperor.observe(paths)
    if app is None:
        apps = observing.of_all(paths, states)
        value: object = {"apps": [asdict(one) for one in apps]}
    else:
        apps = [observing.of(paths, app, states)]
        value = [asdict(row) for row in apps[0].processes]
    if as_json:
        click.echo(json.dumps(value, indent=1))
    else:
        for line in table([_HEAD, *(cells for one in apps for cells in _cells(one))]):
            click.echo(line)
        for notes in hooks("notes") if app else ():
            for note in notes(paths, app):
                click.echo(note)
    for line in _remarks(apps):
        click.echo(line, err=True)
    if not emperor.is_running(paths):
        click.echo(" !     piku is not running on this server, so no app is", err=True)
    elif states is None:
        click.echo(" !     uWSGI does not answer, so it is unknown what runs", err=True)


def _cells(app: AppState) -> Iterator[tuple[str, ...]]:
    """The rows of an app: its processes, or one for the state that it is in without any."""
    for row in app.processes:
        yield (
            app.app,
            row.process,
            f"v{row.release}",
            str(row.pid or "-"),
            row.state,
            duration(row.uptime) if row.pid else "-",
            f"{row.memory / 2**20:.1f} MB" if row.pid else "-",
            str(row.restarts),
            row.address,
        )
    if not app.processes:
        yield (app.app, "-", f"v{app.release}" if app.release else "-", "-", app.state, *["-"] * 4)


def _remarks(apps: Sequence[AppState]) -> Iterator[str]:
    """What is wrong: damaged records and crashing processes."""
    for app in apps:
        if app.error:
            yield f" !     {app.app}: {app.error}"
        for row in app.processes:
            if row.state == "crashing":
                code = "" if row.exit_code is None else f" with exit code {row.exit_code}"
                yield f" !     {row.process} of {app.app} keeps ending{code}. Its last lines:"
                yield from (f"       {line}" for line in row.last_lines or ("(none)",))


@click.command()
@app_argument
@click.argument("process", required=False, default="")
@click.option(
    "-n", "--lines", type=click.IntRange(0, 1_000_000),
    help="How many lines, of all processes together; by default 100, of `build` the last deploy.",
)  # fmt: skip
@click.option("--no-follow", is_flag=True, help="Print what there is, and exit.")
@click.option("--release", metavar="N", help="Only what this release wrote, and exit.")
def logs(
    app: AppPaths, process: str, lines: int | None, no_follow: bool, release: str | None
) -> None:
    """Show the logs of an app's processes, and follow them.

    PROCESS is a type, or one such as web.1; `build` shows the transcript of deploys.
    """
    number = None if release is None else release_number(app, release)
    known = reading.scan(app)
    chosen = reading.select_logs(app, known, process, number)
    names = sorted({log.process for log in chosen})
    count = 100 if lines is None and process != reading.BUILD else lines
    _print_lines(reading.history(chosen, count), names)
    if number is not None and not chosen:
        click.echo(f"v{number} left no logs; see: piku logs {app.name} build", err=True)
    if number is None and not no_follow and process != reading.BUILD:
        for batch in reading.follow(app, known, process):
            _print_lines(batch, names)


def _print_lines(lines: Iterable[Line], processes: Sequence[str]) -> None:
    """Print lines with their process in front, unless they are of the transcript of deploys."""
    width = max(map(len, processes), default=0)
    is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for line in lines:
        text = printable(line.text.decode(errors="replace"))
        if line.process != reading.BUILD:
            prefix = f"{line.process:<{width}} |"
            if is_coloured:
                number = processes.index(line.process) if line.process in processes else -1
                prefix = f"\x1b[{_COLOURS[number % len(_COLOURS)]}m{prefix}\x1b[0m"
            text = f"{prefix} {text}"
        sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@app_argument
@click.argument("command", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_paths
def run(paths: Paths, app: AppPaths, command: tuple[str, ...]) -> None:
    """Run a command with the app's code, environment and settings.

    A process type of the Procfile runs that line. A single word is run by a shell; several are a
    program and its arguments. Over plain ssh, a shell runs what you typed.
    """
    from piku.operate import run as running

    running.run(paths, app, command[1:] if command[0] == "--" and command[1:] else command)
