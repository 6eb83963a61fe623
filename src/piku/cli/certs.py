"""The command that fetches and renews certificates."""

from __future__ import annotations

import sys

import click

from piku.cli.common import optional_app_argument, pass_paths
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths


@click.command("certs:renew")
@optional_app_argument
@click.option("--force", is_flag=True, help="Also what is not due.")
@pass_paths
def certs_renew(paths: Paths, app: AppPaths | None, force: bool) -> None:
    """Fetch and renew certificates now; housekeeping does so whenever one is due."""
    from piku.operate import renew

    output = Output(sys.stdout)
    this = renew.Round(paths=paths, output=output, force=force)
    failed = renew.renew(this, app, waiting=lambda by: output.step(f"Waiting for {by}"))
    if failed:
        raise PikuError(f"no certificate for {', '.join(failed)}")
