"""Commands that take an app out of service for a while, and back."""

from __future__ import annotations

import sys

import click

from piku.cli.common import app_argument, pass_paths, who
from piku.output import Output
from piku.paths import AppPaths, Paths


@click.command("maintenance:on")
@app_argument
@click.option(
    "--retry-after", metavar="SECONDS", default=300, show_default=True, type=click.IntRange(1, 31536000),
    help="When clients are told to ask again.",
)  # fmt: skip
@pass_paths
def maintenance_on(paths: Paths, app: AppPaths, retry_after: int) -> None:
    """Answer 503 with a page to everybody until maintenance:off; its processes run on, and deploys work."""
    from piku.extras.maintenance import maintenance

    maintenance.on(paths, app, who(), retry_after, Output(sys.stdout))


@click.command("maintenance:off")
@app_argument
@pass_paths
def maintenance_off(paths: Paths, app: AppPaths) -> None:
    """Let the app answer again."""
    from piku.extras.maintenance import maintenance

    maintenance.off(paths, app, Output(sys.stdout))
