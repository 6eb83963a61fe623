"""Commands for the processes of an app: what runs, how many, what they say."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict

import click

from piku.cli.common import app_argument, pass_paths, progress, release_number, who
from piku.errors import PikuError
from piku.output import duration, table
from piku.paths import AppPaths, Paths


@click.command()
@app_argument
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")
@pass_paths
def ps(paths: Paths, app: AppPaths, as_json: bool) -> None:
    """Show the processes of an app: worker, release, pid, state, uptime, memory."""
    from piku.deploy import records
    from piku.operate import ps as observing

    rows = observing.rows(paths, app)
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], indent=1))
        return
    if not rows:
        live = records.live(app)
        why = "is stopped" if live and live.stopped else "runs no process" if live else "was never live"
        click.echo(f"{app.name} {why}", err=True)
        return
    head = ("PROCESS", "RELEASE", "PID", "STATE", "UPTIME", "MEMORY", "LISTENS ON")
    body = (
        (row.worker, f"v{row.release}", str(row.pid or "-"), row.state, duration(row.uptime),
         f"{row.memory / 2**20:.1f} MB", row.address or "-")
        for row in rows
    )  # fmt: skip
    for line in table([head, *body]):
        click.echo(line)


@click.command("ps:scale")
@app_argument
@click.argument("counts", metavar="PROCESS=COUNT...", nargs=-1, required=True)
@pass_paths
def ps_scale(paths: Paths, app: AppPaths, counts: tuple[str, ...]) -> None:
    """Set how many processes of a type run."""
    from piku.deploy import changes, runbook

    wanted: dict[str, int] = {}
    for text in counts:
        kind, equals, number = text.partition("=")
        if not equals or not kind or not re.fullmatch("[0-9]{1,3}", number) or int(number) > 100:
            raise PikuError(
                f"{text[:60]!r} is not of the form PROCESS=COUNT",
                hint="counts are whole numbers from 0 to 100",
                code=2,
            )
        wanted[kind] = int(number)
    output = progress(app)
    with runbook.locked(paths, app, f"ps:scale by {who()}", output):
        changes.scale(paths, app, wanted, output)


@click.command()
@app_argument
@pass_paths
def restart(paths: Paths, app: AppPaths) -> None:
    """Start an app's processes afresh, without downtime."""
    from piku.deploy import changes, runbook

    output = progress(app)
    with runbook.locked(paths, app, f"a restart by {who()}", output):
        changes.restart(paths, app, output)


@click.command()
@app_argument
@pass_paths
def stop(paths: Paths, app: AppPaths) -> None:
    """Stop an app's processes until `piku restart`."""
    from piku.deploy import changes, runbook

    output = progress(app)
    with runbook.locked(paths, app, f"a stop by {who()}", output):
        changes.stop(paths, app, output)


@click.command()
@app_argument
@click.argument("process", required=False, default="")
@click.option(
    "-n", "--lines", default=100, show_default=True, type=click.IntRange(0, 100000), help="Lines of each."
)
@click.option("--no-follow", is_flag=True, help="Print what there is, and end.")
@click.option("--release", metavar="N", help="Only what this release wrote.")
def logs(app: AppPaths, process: str, lines: int, no_follow: bool, release: str | None) -> None:
    """Show what an app's processes write, and follow it; PROCESS is a type, or one such as web.1.

    `build` shows the transcript of deploys.
    """
    from piku.operate import logs as reading

    if process == "build":
        reading.print_file(app.build_log, lines)
        return
    number = None if release is None else release_number(app, release)
    for worker, line in reading.last(reading.log_files(app, process, number), lines):
        click.echo(f"{worker} | {line}")
    if no_follow or number is not None:
        return
    sys.stdout.flush()
    for worker, line in reading.follow(app, process):
        click.echo(f"{worker} | {line}")
        sys.stdout.flush()


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@app_argument
@click.argument("command", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_paths
def run(paths: Paths, app: AppPaths, command: tuple[str, ...]) -> None:
    """Run a command with the app's code, environment and settings."""
    from piku.operate import run as running

    words = command[1:] if command[0] == "--" else command
    running.run(paths, app, words)
