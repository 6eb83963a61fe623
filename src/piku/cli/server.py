"""Commands for the server itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import update_wrapper
from typing import TYPE_CHECKING, TextIO

import click

from piku.cli.common import (
    optional_app_argument,
    own_command,
    own_environment,
    pass_paths,
    self_argv,
)
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths

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


@click.command("setup:ssh")
@click.argument("file", metavar="FILE|-", type=click.File(errors="replace"))
@click.option("--name", default="default", show_default=True, help="A name for the key.")
@pass_paths
def setup_ssh(paths: Paths, file: TextIO, name: str) -> None:
    """Allow a public key to push; '-' reads it from standard input."""
    from piku.ssh import keys

    key = keys.add(paths, file.read(65536), name, own_command(), own_environment())
    said = f"Key {key.name!r} may push now: {key.fingerprint} {key.comment}"
    Output(sys.stdout).step(said.rstrip())


@click.command("certs:renew")
@optional_app_argument
@click.option("--force", is_flag=True, help="Also what is not due.")
@pass_paths
def certs_renew(paths: Paths, app: AppPaths | None, force: bool) -> None:
    """Get and renew certificates now; housekeeping does so whenever one is due."""
    from piku.operate import renew

    output = Output(sys.stdout)
    if failed := renew.renew(paths, output, only=app, asked=True, force=force):
        raise PikuError(f"no certificate for {', '.join(failed)}")


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
