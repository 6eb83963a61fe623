"""The commands that start and end detached one-off commands."""

from __future__ import annotations

import click

from piku.cli.common import app_argument, pass_paths
from piku.paths import AppPaths, Paths


@pass_paths
def detach(paths: Paths, app: AppPaths, command: tuple[str, ...]) -> None:
    """Let it go on when you disconnect, and print the name of the run."""
    from piku.operate import run as running

    name = running.detach(paths, app, command[1:] if command[0] == "--" else command)
    click.echo(name)
    click.echo(
        f"output: piku logs {app.name} {name}; stop: piku ps:stop {app.name} {name}", err=True
    )


@click.command("ps:stop")
@app_argument
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
def ps_stop(app: AppPaths, names: tuple[str, ...]) -> None:
    """Stop what `run --detach` started, such as run.3."""
    from piku.operate import run as running

    for name in names:
        running.stop(app, name)
        click.echo(f"-----> {name} of {app.name} has ended")
