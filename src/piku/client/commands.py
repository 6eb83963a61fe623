"""Commands that are done on the laptop, for the server and the app of a checkout."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from piku.errors import PikuError
from piku.output import Output

if TYPE_CHECKING:
    from piku.client.address import Target
    from piku.client.settings import Change

F = TypeVar("F", bound=Callable[..., Any])
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def pass_target(function: F) -> F:
    """Give a command the server that is meant, and its app; raises PikuError when either is unknown."""

    @click.pass_context
    def call(ctx: click.Context, *args: Any, **kwargs: Any) -> Any:
        from piku.client import where

        found = where.explicit(_asked(ctx), os.environ)
        if not found.app:
            raise PikuError("which app is meant?", hint="say it: piku --app APP …", code=2)
        return ctx.invoke(function, found, *args, **kwargs)

    return update_wrapper(call, function)  # type: ignore[return-value]


def _asked(ctx: click.Context) -> Any:
    from piku.client.where import Asked

    given = ctx.parent.params if ctx.parent else {}
    return Asked(remote=given.get("remote"), app=given.get("app"), words=[])


def _agreed(question: str, *, yes: bool) -> None:
    """Go on if the person says so."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise PikuError(
            "nobody is here to be asked, and nothing was changed", hint="to go on: --yes", code=2
        )
    if not click.confirm(question, default=True):
        raise click.Abort


@click.command()
@click.argument("server", metavar="[USER@SERVER[:APP]]", required=False)
@click.option(
    "--name",
    "hosts",
    metavar="HOST",
    multiple=True,
    help="A host name to answer for; several with several.",
)
@_yes
@click.pass_context
def init(ctx: click.Context, server: str | None, hosts: tuple[str, ...], yes: bool) -> None:
    """Prepare this checkout: a Procfile and an ENV that fit it, and the git remote.

    What would be done is shown first, and what is there is left as it is.
    """
    from dataclasses import replace

    from piku.client import address
    from piku.client import init as preparing

    asked = _asked(ctx)
    text = server or asked.remote or os.environ.get("PIKU_SERVER")
    found = address.parse(text) if text else None
    if found is not None:
        app = asked.app or found.app or preparing.app_name(Path())
        found = address.parse(f"{found.server}/{app}") if found.port else replace(found, app=app)
    plan = preparing.plan(Path(), found, hosts)
    output = Output(sys.stdout)
    preparing.show(plan, output)
    if not plan:
        output.step("Nothing is to be done")
        return
    _agreed("Do this?", yes=yes)
    preparing.apply(plan, output)


@click.command("open")
@click.argument("path", default="")
@pass_target
def open_(target: Target, path: str) -> None:
    """Show the app in a web browser; PATH is a page of it."""
    import json
    import webbrowser

    from piku.client import ssh

    app = json.loads(ssh.capture(target, ["names"]))["apps"].get(target.app)
    if app is None:
        raise PikuError(
            f"there is no app called {target.app!r} on {target.address.destination}",
            hint="push it first",
        )
    if not app["url"]:
        raise PikuError(
            f"nginx does not serve {target.app}",
            hint="give it a name: piku config:set NGINX_SERVER_NAME=www.example.com",
        )
    url = app["url"] + path.removeprefix("/")
    if not url.startswith(("http://", "https://")):
        raise PikuError(f"{url[:80]!r} is no address of a web page")
    click.echo(url)
    if not webbrowser.open(url):
        click.echo("no browser is to be found here: open it yourself", err=True)


@click.command()
@pass_target
def shell(target: Target) -> int:
    """Open a shell in the app's folder, with its environment and settings."""
    from piku.client import ssh

    return ssh.run(target, ["run", "bash"], terminal=os.isatty(0) and os.isatty(1))


@click.command()
@pass_target
def tmux(target: Target) -> int:
    """Attach to the app's tmux session on the server; it survives disconnects."""
    from piku.client import ssh

    if not (os.isatty(0) and os.isatty(1)):
        raise PikuError("tmux draws on a terminal, and here is none", code=2)
    # One tmux per app: what a session starts with is what the first one of its tmux had.
    session = ["tmux", "-L", f"piku-{target.app}", "new-session", "-A", "-s", "main", "bash", "-i"]
    code = ssh.run(target, ["run", *session], terminal=True)
    if code == 127:
        raise PikuError(
            "tmux is not installed on the server", hint="there: sudo apt-get install tmux", code=127
        )
    return code


@click.command()
@click.argument("path", metavar="PATH")
@click.argument("place", metavar="[PLACE]", default=".")
@pass_target
def download(target: Target, path: str, place: str) -> int:
    """Copy a file or folder of the app's data to this machine.

    PATH is below the app's data; with a "/" before it, it is below the piku root, as in /logs/APP/web.1.log.
    """
    from piku.client import copy

    return copy.download(target, path, place)


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--to",
    "path",
    metavar="PATH",
    default=".",
    help="Where to, below the app's data, or with '/' below the piku root.",
)
@pass_target
def upload(target: Target, files: tuple[str, ...], path: str) -> int:
    """Copy files or folders from this machine into the app's data."""
    from piku.client import copy

    return copy.upload(target, files, path)


@click.command("config:push")
@click.argument("file", metavar="[FILE]", default=".env")
@click.option("--no-restart", is_flag=True, help="Wait for `piku restart` before it takes effect.")
@_yes
@pass_target
def config_push(target: Target, file: str, no_restart: bool, yes: bool) -> int:
    """Set for the app what a .env file has; other settings stay.

    Values are taken as they are, without $NAME being replaced. The names that differ are shown first.
    """
    from piku.client import settings

    change = settings.compared(settings.on_server(target), settings.in_file(Path(file)))
    if not _shown(change, f"of {target.app} would be:"):
        return 0
    _agreed("Set them?", yes=yes)
    return settings.push(target, change, restart=not no_restart)


@click.command("config:pull")
@click.argument("file", metavar="[FILE]", default=".env")
@_yes
@pass_target
def config_pull(target: Target, file: str, yes: bool) -> None:
    """Write the app's settings into a .env file; other lines stay."""
    from piku.client import settings

    place = Path(file)
    before = settings.in_file(place) if place.exists() else {}
    change = settings.compared(before, settings.on_server(target))
    if not _shown(change, f"in {file} would be:"):
        return
    if change.changed:
        _agreed(f"Write {file}?", yes=yes)
    settings.pull(place, change)
    Output(sys.stdout).step(f"{file} is written; it holds secrets: do not commit it")


def _shown(change: Change, where: str) -> bool:
    output = Output(sys.stdout)
    if not change:
        output.step("Nothing differs")
        return False
    output.step(f"Settings {where}")
    output.details(change.lines())
    return True


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script with which a shell completes commands, apps and processes.

    In ~/.bashrc: `eval "$(piku completion bash)"`; in ~/.zshrc, after compinit: `eval "$(piku completion zsh)"`;
    for fish, the output goes to ~/.config/fish/completions/piku.fish.
    """
    from piku.client.completion import SHELLS

    click.echo(SHELLS[shell].strip())
