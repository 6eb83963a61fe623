"""Commands for the settings of an app."""

from __future__ import annotations

import sys
from dataclasses import replace

import click

from piku.app import variables
from piku.cli.common import app_argument, pass_paths, progress, who
from piku.errors import PikuError
from piku.paths import AppPaths, Paths

_MAX = 1 << 20  # characters


def _layers(paths: Paths, app: AppPaths) -> dict[str, str]:
    """The app's settings as a release would see them, the live commit's ENV file among them."""
    from piku.deploy import releases, revision

    live = releases.live(app)
    if live is None:
        return revision.layered(paths, "", revision.own_settings(app))
    release = releases.load_release(app, live.release)
    own = replace(release, settings=revision.own_settings(app))
    return dict(revision.of_release(paths, app, own).values)


@click.command()
@app_argument
def config(app: AppPaths) -> None:
    """Show the settings kept with config:set."""
    from piku.deploy.revision import own_settings

    for key, value in own_settings(app).items():
        click.echo(f"{key}={value}")


@click.command()
@app_argument
@click.argument("key")
@pass_paths
def config_get(paths: Paths, app: AppPaths, key: str) -> None:
    """Print the value of one setting."""
    values = _layers(paths, app)
    if key not in values:
        raise PikuError(
            f"{app.name} has no setting {key[:80]!r}", hint=f"see them with: piku config {app.name}"
        )
    click.echo(values[key])


@click.command()
@app_argument
@click.argument("pairs", metavar="KEY=VALUE...|-", nargs=-1, required=True)
@click.option("--no-restart", is_flag=True, help="Wait for `piku restart` before it takes effect.")
@pass_paths
def config_set(paths: Paths, app: AppPaths, pairs: tuple[str, ...], no_restart: bool) -> None:
    """Set values, exactly as given, and restart the app with them without downtime.

    `-` in place of all of them reads such lines from standard input: what is secret stands in no command then.
    """
    if pairs == ("-",):
        pairs = tuple(line for line in _given().split("\n") if line)
    change: dict[str, str | None] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise PikuError(
                f"{pair[:60]!r} is not of the form KEY=VALUE", hint="nothing was changed", code=2
            )
        variables.check_pair(key, value)
        change[key] = value
    _change(paths, app, change, no_restart)


def _given() -> str:
    text = sys.stdin.read(_MAX + 1)
    if len(text) > _MAX:
        raise PikuError(
            f"standard input has more than {_MAX} characters",
            hint="nothing was changed; what is so large belongs into a file: piku upload",
            code=2,
        )
    return text


@click.command()
@app_argument
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@click.option("--no-restart", is_flag=True, help="Wait for `piku restart` before it takes effect.")
@pass_paths
def config_unset(paths: Paths, app: AppPaths, keys: tuple[str, ...], no_restart: bool) -> None:
    """Forget values set with config:set, and restart the app without them."""
    from piku.deploy.revision import own_settings

    known = own_settings(app)
    for key in keys:
        if key not in known:
            raise PikuError(f"{key[:80]!r} is not set with config:set", hint="nothing was changed")
    _change(paths, app, dict.fromkeys(keys), no_restart)


def _change(paths: Paths, app: AppPaths, change: dict[str, str | None], no_restart: bool) -> None:
    from piku.deploy import deploy, lifecycle

    output = progress(app)
    output.hide({key: value for key, value in change.items() if value is not None})
    with deploy.locked(paths, app, f"config:set by {who()}", output):
        lifecycle.change_settings(paths, app, change, who(), output, restart=not no_restart)


@click.command()
@app_argument
def config_live(app: AppPaths) -> None:
    """Show every variable that the live release's processes see."""
    from piku import files

    text = files.read(app.live_env)
    if not text:
        raise PikuError(f"{app.name} has no live release", hint="push a working commit first")
    click.echo(text, nl=False)


for _command, _name in (
    (config_get, "config:get"), (config_set, "config:set"),
    (config_unset, "config:unset"), (config_live, "config:live"),
):  # fmt: skip
    _command.name = _name
