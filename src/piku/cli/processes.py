"""Commands for the processes of an app: what runs, and how many."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import click

from piku.cli.common import app_argument, pass_paths, progress, who
from piku.errors import PikuError
from piku.extra import hooks
from piku.paths import AppPaths, Paths


@click.command()
@click.argument("app", metavar="[APP]", required=False)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="As JSON, for scripts: memory in bytes, uptime in seconds.",
)
@pass_paths
def ps(paths: Paths, app: str | None, as_json: bool) -> None:
    """Show the processes of all apps, or of APP: state, memory and restarts.

    MEMORY counts shared pages by the share. To watch it: `watch ssh piku@SERVER ps`.
    """
    from piku.cli import ps_view
    from piku.operate import summary
    from piku.uwsgi import emperor

    states = emperor.observe(paths)
    if app is not None:
        chosen = paths.existing(app)
        apps = [summary.of(paths, chosen, states)]
        lines = ps_view.of_one(apps[0])
        lines += [note for notes in hooks("notes") for note in notes(paths, chosen)]
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
    """Set how many processes of a type run; those that stay are not touched."""
    from piku.deploy import deploy, lifecycle

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
    with deploy.locked(paths, app, f"ps:scale by {who()}", output):
        lifecycle.scale(paths, app, wanted, output)


@click.command()
@app_argument
@pass_paths
def restart(paths: Paths, app: AppPaths) -> None:
    """Start an app's processes afresh, without downtime."""
    from piku.deploy import deploy, lifecycle

    output = progress(app)
    with deploy.locked(paths, app, f"a restart by {who()}", output):
        lifecycle.restart(paths, app, output)


@click.command()
@app_argument
@pass_paths
def stop(paths: Paths, app: AppPaths) -> None:
    """Stop an app's processes until `piku restart`."""
    from piku.deploy import deploy, lifecycle

    output = progress(app)
    with deploy.locked(paths, app, f"a stop by {who()}", output):
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
