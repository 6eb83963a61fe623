"""The flag that starts a detached command, and the command that ends one."""

import click

from piku.cli.common import app_argument, pass_paths, with_flag
from piku.paths import AppPaths, Paths


def with_flags(run: click.Command) -> click.Command:
    """`piku run` with --detach."""
    what = "Keep it running when you disconnect, and print the name of the run."
    return with_flag(run, click.Option(["--detach"], is_flag=True, help=what), detach)


@pass_paths
def detach(
    paths: Paths, _given: bool, /, app: AppPaths, command: tuple[str, ...], **_others: object
) -> None:
    """Start a command that goes on when its caller is gone."""
    from piku.extras.detached import runs
    from piku.operate import run as one_off

    words = command[1:] if command[0] == "--" else command
    live, release, found = one_off.live_source(paths, app)
    line = one_off.command_line(words, found.procfile)
    name = runs.start(paths, app, live, release, found, line)
    click.echo(name)
    hint = f"output: piku logs {app.name} {name}; stop: piku ps:stop {app.name} {name}"
    click.echo(hint, err=True)


@click.command("ps:stop")
@app_argument
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
def ps_stop(app: AppPaths, names: tuple[str, ...]) -> None:
    """Stop what `run --detach` started, such as run.3."""
    from piku.extras.detached import runs

    for name in names:
        runs.stop(app, name)
        click.echo(f"-----> {name} of {app.name} has ended")
