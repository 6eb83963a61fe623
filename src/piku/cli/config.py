"""Commands for the settings of an app."""

import json
import sys
from collections.abc import Mapping

import click

from piku import dotenv, files
from piku.cli.common import (
    app_argument,
    caller,
    changing,
    json_option,
    make,
    new_app_argument,
    pass_paths,
)
from piku.errors import PikuError
from piku.paths import AppPaths, Paths

_no_restart = click.option(
    "--no-restart", is_flag=True, help="Do not apply it before the next `piku restart`."
)


@click.command()
@app_argument
@json_option
def config(app: AppPaths, as_json: bool) -> None:
    """Show the settings made with config:set, as lines of a .env file."""
    values = dotenv.load(app.settings)
    click.echo(json.dumps(values, indent=1) if as_json else dotenv.render(values), nl=as_json)


@click.command("config:get")
@app_argument
@click.argument("key")
def config_get(app: AppPaths, key: str) -> None:
    """Print the value of one setting."""
    values = dotenv.parse(files.read(app.live_env), "LIVE_ENV") | dotenv.load(app.settings)
    if key not in values:
        hint = f"see them with: piku config {app.name}"
        raise PikuError(f"{app.name} has no setting {key[:80]!r}", hint=hint)
    click.echo(values[key])


@click.command("config:set")
@new_app_argument
@click.argument("pairs", metavar="KEY=VALUE...|KEY|-", nargs=-1, required=True)
@_no_restart
@pass_paths
def config_set(paths: Paths, app: AppPaths, pairs: tuple[str, ...], no_restart: bool) -> None:
    """Set values, exactly as given, and restart the app without downtime.

    KEY alone asks for its value at a terminal, else reads it from standard input; `-` reads lines
    of a .env file. This keeps a secret off the command line, where others could see it.
    """
    odd = [number for number, pair in enumerate(pairs, 1) if "=" not in pair]
    if pairs == ("-",):
        change = dotenv.parse(_input(asks=False), "standard input")
    elif len(pairs) == len(odd) == 1 and (text := _input(asks=sys.stdin.isatty())):
        change = {pairs[0]: text.removesuffix("\n").removesuffix("\r")}
    elif odd:
        hint = f"nothing was changed; write: piku config:set {app.name} KEY=value OTHER='two words'"
        hint += "; or KEY alone, and a secret value on standard input"
        raise PikuError(f"argument {odd[0]} is not of the form KEY=VALUE", hint=hint, code=2)
    else:
        change = dict(pair.split("=", 1) for pair in pairs)
    from piku.app import settings  # the commands that only look are quicker without these

    settings.check_all(change)
    make(paths, app)
    _change(paths, app, change, no_restart)


def _input(*, asks: bool) -> str:
    """Standard input, or what a person types when asked, which nobody sees."""
    if asks:
        return str(click.prompt("Its value (not shown)", hide_input=True))
    return files.decode(sys.stdin.buffer.read())


@click.command("config:unset")
@app_argument
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@_no_restart
@pass_paths
def config_unset(paths: Paths, app: AppPaths, keys: tuple[str, ...], no_restart: bool) -> None:
    """Remove values set with config:set, and restart the app without them."""
    known = dotenv.load(app.settings)
    for key in keys:
        if key not in known:
            raise PikuError(f"{key[:80]!r} is not set with config:set", hint="nothing was changed")
    _change(paths, app, dict.fromkeys(keys), no_restart)


def _change(
    paths: Paths, app: AppPaths, change: Mapping[str, str | None], no_restart: bool
) -> None:
    from piku.deploy import lifecycle  # the other commands are quicker without it

    with changing(paths, app, "config:set") as output:
        output.hide({key: value for key, value in change.items() if value is not None})
        lifecycle.change_settings(paths, app, change, caller(), output, restart=not no_restart)


@click.command("config:live")
@app_argument
def config_live(app: AppPaths) -> None:
    """Show every variable that the live release's processes see."""
    from piku.deploy import releases

    releases.require_live(app)
    click.echo(files.read(app.live_env), nl=False)
