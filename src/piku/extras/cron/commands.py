"""Commands for the scheduled jobs of an app."""

import json
from datetime import datetime

import click

from piku.cli.common import app_argument, pass_paths
from piku.output import table
from piku.paths import AppPaths, Paths


@click.command()
@app_argument
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")
@pass_paths
def cron(paths: Paths, app: AppPaths, as_json: bool) -> None:
    """Show the scheduled jobs of an app: next run, last run and its result."""
    from piku.extras.cron import cron as jobs

    rows = jobs.rows(paths, app)
    if as_json:
        click.echo(json.dumps([vars(row) for row in rows], indent=1, default=datetime.isoformat))
        return
    if not rows:
        click.echo(f"{app.name} has no scheduled jobs", err=True)
        return
    head = ("JOB", "SCHEDULE", "NEXT RUN", "LAST RUN", "DURATION", "EXIT CODE", "RUNNING SINCE")
    cells = [
        (
            row.job,
            row.schedule or "(gone)",
            _time(row.next),
            _time(row.last),
            "-" if row.duration is None else f"{row.duration:.0f}s",
            "-" if row.last is None else "unknown" if row.code is None else str(row.code),
            _time(row.running_since),
        )
        for row in rows
    ]
    for line in table([head, *cells]):
        click.echo(line)


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M:%S %Z}"


@click.command("cron:run")
@app_argument
@click.argument("job", metavar="JOB")
@pass_paths
def cron_run(paths: Paths, app: AppPaths, job: str) -> int:
    """Run a scheduled job now, and show its output.

    JOB is its name, with or without "cron-".
    """
    from piku.extras.cron import cron as jobs

    return jobs.run(paths, app, job)
