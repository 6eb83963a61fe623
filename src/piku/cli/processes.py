"""Commands for the processes of an app: what runs, and how many."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from piku.cli.common import app_argument, pass_paths, progress, who
from piku.errors import PikuError
from piku.paths import AppPaths, Paths

if TYPE_CHECKING:
    from piku.cli.ps_view import Said
    from piku.operate.ps import Sight


@click.command()
@click.argument("app", metavar="[APP]", required=False)
@click.option("--watch", is_flag=True, help="On a terminal: anew every 2 seconds, until Ctrl-C.")
@click.option(
    "--json", "as_json", is_flag=True, help="As JSON, for scripts: numbers, bytes and seconds."
)
@pass_paths
def ps(paths: Paths, app: str | None, watch: bool, as_json: bool) -> None:
    """Show the processes of all apps, or of APP: state, memory, restarts, requests.

    CPU is of one processor, in the last moment; MEMORY counts shared pages by the share. nginx counts the
    requests of several `web` processes together: they stand at the first of them.
    """
    from piku.cli import tables
    from piku.operate.ps import Observer

    if watch and as_json:
        raise PikuError("--watch is for people, and --json for scripts: give one of them", code=2)
    chosen = paths.existing(app) if app is not None else None
    observer = Observer(paths)
    if watch:
        tables.watch(lambda: _drawn(paths, chosen, observer.look()))
    lines, remarks = _said(paths, chosen, observer.look(), as_json=as_json)
    for line in lines:
        click.echo(line)
    for line in remarks:
        click.echo(line, err=True)


def _drawn(paths: Paths, app: AppPaths | None, sight: Sight) -> list[str]:
    """The same for a screen that may be too small for all of it: what matters most comes first."""
    lines, remarks = _said(paths, app, sight)
    return [*lines, *remarks] if app is not None else [lines[-1], *remarks, "", *lines[:-2]]


def _said(paths: Paths, app: AppPaths | None, sight: Sight, *, as_json: bool = False) -> Said:
    """The lines and the remarks on an app, or on all."""
    from piku.cli import ps_view, tables
    from piku.operate import summary

    if app is not None:
        one = summary.of(app, sight)
        lines, remarks = ps_view.of_one(one, tables.width())
        lines, remarks = ([ps_view.json_of_one(one)], []) if as_json else (lines, remarks)
    else:
        apps = summary.of_all(paths, sight)
        sums = summary.totals(apps)
        lines, remarks = ps_view.of_all(apps, sums, tables.width())
        lines = [ps_view.json_of_all(apps, sums)] if as_json else lines
    if sight.states is None:
        remarks = [*remarks, " !     piku is not running on this server, so no app is"]
    return lines, remarks


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
