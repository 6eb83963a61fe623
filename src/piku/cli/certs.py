"""The command that fetches and renews certificates."""

from __future__ import annotations

import sys

import click

from piku import locks
from piku.cli.common import calling, optional_app_argument, pass_paths
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths


@click.command("certs:renew")
@optional_app_argument
@click.option("--force", is_flag=True, help="Also what is not due.")
@click.option(
    "--quiet", is_flag=True, help="As it runs by itself: say only what was done, and be patient."
)
@click.option(
    "--installed", is_flag=True, hidden=True, help="Take what acme.sh has installed: it calls this."
)
@pass_paths
def certs_renew(
    paths: Paths, app: AppPaths | None, force: bool, quiet: bool, installed: bool
) -> None:
    """Fetch and renew certificates that are due; piku does so every five minutes."""
    from piku.operate import renew

    output = Output(sys.stdout)
    this = renew.Round(paths=paths, command=calling(), output=output, asked=not quiet, force=force)
    if installed:
        if app is None:
            raise PikuError("--installed needs an app", code=2)
        renew.installed(this, app)
        return
    waiting = None if quiet else lambda by: output.step(f"Waiting for {by}")
    try:
        failed = renew.renew(this, app, waiting=waiting)
    except locks.LockHeld:
        return
    if failed and not quiet:
        error = PikuError(f"no certificate for {', '.join(failed)}")
        error.shown = True
        raise error
