"""Commands for the server itself."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from piku.cli.common import calling, pass_paths
from piku.errors import PikuError
from piku.output import Output
from piku.paths import Paths

if TYPE_CHECKING:
    from piku.nginx.site import Platform

_PORT = click.IntRange(1, 65535)


@click.command()
@pass_paths
def setup(paths: Paths) -> None:
    """Make the folders and files that piku needs; safe to run again."""
    from piku.operate import server

    output = Output(sys.stdout)
    made = server.setup(paths, calling())
    output.step(f"{paths.root} is ready")
    if made:
        output.detail(f"made: {', '.join(made)}")
        output.detail(
            "Next: let a key in with `piku setup:ssh KEY.pub --name NAME`, then start it with `piku up`"
        )
    if missing := server.missing_programs():
        output.warn(f"still missing: apt-get install {' '.join(missing)}")


@click.command()
@click.option("--http-port", type=_PORT, help="Where to serve HTTP; by default 80.")
@click.option("--https-port", type=_PORT, help="Where to serve HTTPS; by default 443.")
@click.option("--host", help="The IPv4 address to listen on; by default every one.")
@pass_paths
def up(paths: Paths, http_port: int | None, https_port: int | None, host: str | None) -> None:
    """Run nginx and the uWSGI emperor in the foreground, as the calling user."""
    from piku.operate import server

    server.up(
        paths, _platform(http_port, https_port, host, "--host"), Output(sys.stderr), calling()
    )


@click.command("serve:nginx", hidden=True)
@click.option("--http-port", type=_PORT, envvar="PIKU_HTTP_PORT", help="As of `piku up`.")
@click.option("--https-port", type=_PORT, envvar="PIKU_HTTPS_PORT", help="As of `piku up`.")
@click.option("--host", envvar="PIKU_HOST", help="As of `piku up`.")
@pass_paths
def serve_nginx(
    paths: Paths, http_port: int | None, https_port: int | None, host: str | None
) -> None:
    """Become the web server, in its system service."""
    from piku.operate import server

    server.serve_nginx(
        paths, _platform(http_port, https_port, host, "PIKU_HOST"), Output(sys.stderr), calling()
    )


@click.command("serve:emperor", hidden=True)
@pass_paths
def serve_emperor(paths: Paths) -> None:
    """Become what runs the apps, in its system service."""
    from piku.operate import server

    server.serve_emperor(paths, Output(sys.stderr), calling())


def _platform(
    http_port: int | None, https_port: int | None, host: str | None, name: str
) -> Platform:
    from piku.app import checks
    from piku.operate import server

    try:
        checks.ipv4(host or "")
    except ValueError as error:
        raise PikuError(f"{name}: {error}", code=2) from None
    return server.platform_of(http_port, https_port, host)


@click.command("help")
@click.argument("command", required=False)
@click.pass_context
def help_(ctx: click.Context, command: str | None) -> None:
    """Show the commands, or how to use one."""
    parent = ctx.parent
    assert parent is not None
    group = parent.command
    assert isinstance(group, click.Group)
    if command is None:
        click.echo(group.get_help(parent))
        return
    _, found, _ = group.resolve_command(parent, [command])
    assert found is not None
    with click.Context(found, info_name=command, parent=parent) as context:
        click.echo(found.get_help(context))
