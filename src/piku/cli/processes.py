"""Commands for the processes of an app: what runs, and how many."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import click

from piku.cli.common import app_argument, changing, json_option, optional_app_argument, pass_paths
from piku.errors import PikuError
from piku.extra import hooks
from piku.paths import AppPaths, Paths


@click.command()
@optional_app_argument
@json_option
@pass_paths
def ps(paths: Paths, app: AppPaths | None, as_json: bool) -> None:
    """Show the processes of all apps, or of APP: state, memory and restarts.

    MEMORY counts shared pages proportionally; JSON has bytes and seconds. To watch it:
    `watch ssh piku@SERVER ps`.
    """
    from piku.cli import ps_view
    from piku.operate import summary
    from piku.uwsgi import emperor

    states = emperor.observe(paths)
    if app is not None:
        apps = [summary.of(paths, app, states)]
        lines = ps_view.of_one(apps[0])
        lines += [note for notes in hooks("notes") for note in notes(paths, app)]
        value: object = [asdict(row) for row in apps[0].processes]
    else:
        apps = summary.of_all(paths, states)
        lines = ps_view.of_all(apps)
        value = {"apps": [asdict(one) for one in apps]}
    click.echo(json.dumps(value, indent=1) if as_json else "\n".join(lines))
    remarks = list(ps_view.remarks(apps))
    if not emperor.is_running(paths):
        remarks.append(" !     piku is not running on this server, so no app is")
    elif states is None:
        remarks.append(" !     uWSGI does not answer, so it is unknown what runs")
    for line in remarks:
        click.echo(line, err=True)


@click.command("ps:scale")
@app_argument
@click.argument("counts", metavar="PROCESS=COUNT...", nargs=-1, required=True)
@pass_paths
def ps_scale(paths: Paths, app: AppPaths, counts: tuple[str, ...]) -> None:
    """Set how many processes of a type run; the others are not touched."""
    from piku.deploy import lifecycle

    wanted: dict[str, int] = {}
    for text in counts:
        kind, equals, number = text.partition("=")
        if not equals or not kind or not re.fullmatch("[0-9]{1,3}", number) or int(number) > 100:
            hint = "counts are whole numbers from 0 to 100"
            raise PikuError(f"{text[:60]!r} is not of the form PROCESS=COUNT", hint=hint, code=2)
        wanted[kind] = int(number)
    with changing(paths, app, "ps:scale") as output:
        lifecycle.scale(paths, app, wanted, output)


@click.command()
@app_argument
@pass_paths
def restart(paths: Paths, app: AppPaths) -> None:
    """Restart an app's processes without downtime."""
    from piku.deploy import lifecycle

    with changing(paths, app, "a restart") as output:
        lifecycle.restart(paths, app, output)


@click.command()
@app_argument
@pass_paths
def stop(paths: Paths, app: AppPaths) -> None:
    """Stop an app's processes until `piku restart`."""
    from piku.deploy import lifecycle

    with changing(paths, app, "a stop") as output:
        lifecycle.stop(paths, app, output)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@app_argument
@click.argument("command", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@pass_paths
def run(paths: Paths, app: AppPaths, command: tuple[str, ...]) -> None:
    """Run a command with the app's code, environment and settings.

    One word is a shell's command line; several are a program and its arguments.
    """
    from piku.operate import run as running

    running.run(paths, app, command[1:] if command[0] == "--" else command)
