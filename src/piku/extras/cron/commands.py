"""Commands for the scheduled jobs of an app."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

import click

from piku.cli.common import app_argument, pass_paths
from piku.output import table
from piku.paths import AppPaths, Paths

if TYPE_CHECKING:
    from piku.extras.cron.cron import Row


@click.command()
@app_argument
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")
@pass_paths
def cron(paths: Paths, app: AppPaths, as_json: bool) -> None:
    """Show the scheduled jobs of an app: next run, last run and its result."""
    from piku.extras.cron import cron as observing

    rows = observing.rows(paths, app)
    if as_json:
        click.echo(json.dumps([vars(row) for row in rows], indent=1, default=datetime.isoformat))
        return
    if not rows:
        click.echo(f"{app.name} has no scheduled jobs", err=True)
        return
    head = ("JOB", "SCHEDULE", "NEXT RUN", "LAST RUN", "DURATION", "EXIT CODE", "RUNNING SINCE")
    for line in table([head, *(_cells(row) for row in rows)]):
        click.echo(line)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.job,
        row.schedule or "(gone)",
        _time(row.next),
        _time(row.last),
        "-" if row.duration is None else f"{row.duration:.1f}s",
        "-" if row.last is None else "unknown" if row.code is None else str(row.code),
        _time(row.running_since),
    )


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S %Z}"


@click.command("cron:run")
@app_argument
@click.argument("job", metavar="JOB")
@pass_paths
def cron_run(paths: Paths, app: AppPaths, job: str) -> None:
    """Run a scheduled job now, and show its output.

    JOB is its name, with or without "cron-".
    """
    from piku.extras.cron import cron as running

    running.run(paths, app, job)
