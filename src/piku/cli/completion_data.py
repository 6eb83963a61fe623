"""What there is to name: commands with their options, apps with their processes. For help and completion."""

from __future__ import annotations

import json
from typing import Any

import click

from piku.cli.common import pass_paths
from piku.paths import AppPaths, Paths


@click.command(hidden=True)
@pass_paths
@click.pass_context
def names(ctx: click.Context, paths: Paths) -> None:
    """Tell a client what there is, as JSON: for its help and its completion."""
    parent = ctx.parent
    assert parent is not None
    click.echo(json.dumps(everything(parent, paths)))


def everything(ctx: click.Context, paths: Paths) -> dict[str, Any]:
    """The commands of a server, and what its apps have."""
    apps = {str(app.name): _app(paths, app) for app in map(paths.app, paths.app_names())}
    return {"commands": commands(ctx), "apps": apps}


def commands(ctx: click.Context) -> dict[str, Any]:
    """Every command that people use: its first sentence, its options, each with whether it takes a value, and
    the names of its arguments."""
    group = ctx.command
    assert isinstance(group, click.Group)
    found = ((name, group.get_command(ctx, name)) for name in group.list_commands(ctx))
    return {name: described(command) for name, command in found if command and not command.hidden}


def described(command: click.Command) -> dict[str, Any]:
    """One command."""
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    return {
        "help": command.get_short_help_str(limit=100),
        "options": {
            name: not one.is_flag and not one.count for one in options for name in one.opts
        },
        "arguments": [one.name for one in command.params if isinstance(one, click.Argument)],
    }


def _app(paths: Paths, app: AppPaths) -> dict[str, Any]:
    from piku import files
    from piku.deploy import process_plan, releases
    from piku.deploy.revision import own_settings
    from piku.nginx import service

    live = releases.live(app)
    counts = process_plan.parse_scaling(files.read(app.scaling))
    running = live.processes if live else ()
    jobs = [_jobs(app, one.start) for one in running if one.schedules]
    url = ""
    if live and live.site:
        url = service.platform(paths).url(live.site.names[0], secure=live.site.https_only)
    return {
        "processes": sorted({one.kind for one in running if not one.schedules} | counts.keys()),
        "jobs": sorted({name for some in jobs for name in some}),
        "settings": sorted(own_settings(app)),
        "url": url,
    }


def _jobs(app: AppPaths, activation: int) -> list[str]:
    scripts = app.start(activation).glob("cron-*.sh")
    return [path.stem.removeprefix("cron-") for path in scripts]
