"""Commands that take an app out of service for a while, and back."""

import sys
import time

import click

from piku import files, records
from piku.cli.common import app_argument, caller, pass_paths
from piku.deploy import live_sites
from piku.errors import PikuError
from piku.extras.maintenance.state import Maintenance, record
from piku.output import Output
from piku.paths import AppPaths, Paths


@click.command("maintenance:on")
@app_argument
@click.option("--retry-after", metavar="SECONDS", default=300, show_default=True,
              type=click.IntRange(1, 31536000), help="When clients may retry.")  # fmt: skip
@pass_paths
def maintenance_on(paths: Paths, app: AppPaths, retry_after: int) -> None:
    """Answer every request with 503 and a page; processes and deploys go on."""
    if app.name not in live_sites.load(paths)[0]:
        hint = "it needs NGINX_SERVER_NAME, and to be deployed"
        raise PikuError(f"nginx does not serve {app.name}", hint=hint)
    records.save(record(app), Maintenance(since=time.time(), by=caller(), retry_after=retry_after))
    try:
        live_sites.update(paths)
    except PikuError:
        files.remove(record(app))
        raise
    Output(sys.stdout).step(f"{app.name} answers 503 until `piku maintenance:off {app.name}`")


@click.command("maintenance:off")
@app_argument
@pass_paths
def maintenance_off(paths: Paths, app: AppPaths) -> None:
    """Let the app answer again."""
    files.remove(record(app))
    live_sites.update(paths)
    Output(sys.stdout).step(f"{app.name} answers again")
