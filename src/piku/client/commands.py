"""Commands that run on the laptop, for the server and the app of a checkout."""

from __future__ import annotations

import os
import sys
import webbrowser
from collections.abc import Callable, Sequence
from functools import update_wrapper
from pathlib import Path
from typing import Any, TypeVar

import click

from piku import client
from piku.client import address, ssh, target
from piku.client.target import Call, Target
from piku.errors import PikuError
from piku.output import Output

F = TypeVar("F", bound=Callable[..., Any])
yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def pass_target(function: F) -> F:
    """Give a command the server and app that are meant; raises PikuError when either is unknown."""

    @click.pass_context
    def call(ctx: click.Context, *args: Any, **kwargs: Any) -> Any:
        found = target.named(_call(ctx), os.environ)
        if not found.app:
            raise PikuError("which app?", hint="name it: piku --app APP …", code=2)
        return ctx.invoke(function, found, *args, **kwargs)

    return update_wrapper(call, function)  # type: ignore[return-value]


def _call(ctx: click.Context) -> Call:
    given = ctx.find_root().params
    return Call(remote=given.get("remote"), app=given.get("app"))


def confirm(question: str, *, yes: bool) -> None:
    """Go on if the person agrees."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise PikuError("cannot ask here: nothing was changed", hint="to go on: --yes", code=2)
    click.confirm(question, default=True, abort=True)


@click.command()
@click.argument("server", metavar="[USER@SERVER[:APP]]", required=False)
@click.option(
    "--name", "hosts", metavar="HOST", multiple=True, help="A host name; may be repeated."
)
@yes_option
@click.pass_context
def init(ctx: click.Context, server: str | None, hosts: Sequence[str], yes: bool) -> None:
    """Prepare this checkout: a Procfile, an ENV file and the git remote.

    It shows what it would do first, and changes no existing file.
    """
    from piku.client import init as preparing

    call = _call(ctx)
    text = server or call.remote or os.environ.get("PIKU_SERVER")
    found = address.parse(text) if text else None
    plan = preparing.plan(Path(), found, call.app or "", hosts)
    output = Output(sys.stdout)
    preparing.show(plan, output)
    if not plan.files and not plan.remote:
        output.step("Nothing to do")
        return
    confirm("Do this?", yes=yes)
    preparing.apply(plan, output)


@click.command("open")
@click.argument("path", default="")
@pass_target
def open_(target: Target, path: str) -> None:
    """Open the app, or PATH of it, in a web browser."""
    url = ssh.output(target, ["url"]).strip() + path.removeprefix("/")
    click.echo(url)
    if not webbrowser.open(url):
        click.echo("there is no browser here: open it yourself", err=True)


@click.command()
@pass_target
def shell(target: Target) -> None:
    """Open a shell in the app's folder, with its environment and settings."""
    ssh.become(target, ["run", "bash"], terminal=True)


@click.command()
@pass_target
def tmux(target: Target) -> None:
    """Attach to the app's tmux session on the server; it survives disconnects."""
    # One tmux server per app: a session has the variables of the first one of its server.
    session = ["tmux", "-L", f"piku-{target.app}", "new-session", "-A", "-s", "main", "bash", "-i"]
    ssh.become(target, ["run", *session], terminal=True)


def show_help() -> None:
    """List these commands."""
    from piku.extra import load

    click.echo("Commands on this machine:")
    for name, place in client.COMMANDS.items():
        command: click.Command = load(place)
        click.echo(f"  {name:<15}  {command.get_short_help_str(80)}")
    click.echo("\nCommands on the server, for `piku -r REMOTE -a APP` or those of this checkout:\n")
