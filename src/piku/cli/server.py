"""Commands for the server itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import update_wrapper
from typing import TYPE_CHECKING

import click

from piku.cli.common import pass_paths, self_argv
from piku.errors import PikuError
from piku.output import Output
from piku.paths import Paths

if TYPE_CHECKING:
    from piku.nginx.site import Platform

_PORT = click.IntRange(1, 65535)


@click.command()
@pass_paths
def setup(paths: Paths) -> None:
    """Create the folders and files that piku needs; safe to run again."""
    from piku.operate import server

    output = Output(sys.stdout)
    made = server.setup(paths, self_argv())
    output.step(f"{paths.root} is ready")
    if made:
        output.detail(f"made: {', '.join(made)}")
        output.detail("Next: `piku setup:ssh KEY.pub --name NAME`, then start it with `piku up`")
    if missing := server.missing_programs():
        output.warn(f"still missing: apt-get install {' '.join(missing)}")


def _listening(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command the addresses and ports for nginx."""

    @click.option(
        "--http-port", type=_PORT, envvar="PIKU_HTTP_PORT", help="For HTTP; by default 80."
    )
    @click.option(
        "--https-port", type=_PORT, envvar="PIKU_HTTPS_PORT", help="For HTTPS; by default 443."
    )
    @click.option(
        "--host", envvar="PIKU_HOST", help="The IPv4 address to listen on; by default all."
    )
    @pass_paths
    def call(paths: Paths, http_port: int | None, https_port: int | None, host: str | None) -> None:
        from piku.app import checks
        from piku.operate import server

        try:
            checks.ipv4(host or "")
        except ValueError as error:
            raise PikuError(f"--host: {error}", code=2) from None
        function(paths, server.platform_of(http_port, https_port, host))

    return update_wrapper(call, function)


@click.command()
@_listening
def up(paths: Paths, platform: Platform) -> None:
    """Run nginx and the uWSGI emperor in the foreground, as the calling user."""
    from piku.operate import server

    server.up(paths, platform, Output(sys.stderr), self_argv())


@click.command("serve:nginx", hidden=True)
@_listening
def serve_nginx(paths: Paths, platform: Platform) -> None:
    """Become the web server, in its systemd service."""
    from piku.operate import server

    server.serve_nginx(paths, platform, Output(sys.stderr), self_argv())


@click.command("serve:emperor", hidden=True)
@pass_paths
def serve_emperor(paths: Paths) -> None:
    """Become what runs the apps, in its systemd service."""
    from piku.operate import server

    server.serve_emperor(paths, Output(sys.stderr), self_argv())
