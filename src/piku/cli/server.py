"""Commands for the server itself, and those that git and scp clients call through sshd."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterable
from functools import partial, update_wrapper
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, TextIO

import click

from piku.cli.common import (
    app_argument,
    caller,
    own_command,
    own_environment,
    pass_paths,
    progress,
    self_argv,
)
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

    fingerprint = keys.add(paths, file.read(65536), name, own_command(), own_environment())
    Output(sys.stdout).step(f"Key {name!r} may push now: {fingerprint}")


def _listening(function: Callable[[Paths, Platform], None]) -> Callable[..., None]:
    """Give a command the addresses and ports for nginx."""

    @click.option(
        "--http-port", type=_PORT, default=80, envvar="PIKU_HTTP_PORT",
        help="For HTTP; by default 80.",
    )  # fmt: skip
    @click.option(
        "--https-port", type=_PORT, default=443, envvar="PIKU_HTTPS_PORT",
        help="For HTTPS; by default 443.",
    )  # fmt: skip
    @click.option(
        "--host", type=IPv4Address, envvar="PIKU_HOST", help="The IPv4 address; by default all."
    )
    @pass_paths
    def call(paths: Paths, http_port: int, https_port: int, host: IPv4Address | None) -> None:
        from piku.nginx.site import Platform

        host_name = str(host or "")
        function(paths, Platform(http_port=http_port, https_port=https_port, host=host_name))

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


@click.command("git-receive-pack", hidden=True)
@click.argument("path")
@pass_paths
def git_receive_pack(paths: Paths, path: str) -> int:
    """Take a push, and deploy it."""
    from piku.operate import server
    from piku.ssh import git

    name = git.app_from_path(path)
    if not (paths.root / "releases").is_dir():
        server.setup(paths, self_argv())
    app, command, variables = paths.app(name), own_command(), own_environment()
    return git.receive_pack(paths, app, command, variables, partial(_deploy, paths, app))


@click.command("git-upload-pack", hidden=True)
@click.argument("path")
@pass_paths
def git_upload_pack(paths: Paths, path: str) -> int:
    """Serve a clone or a fetch."""
    from piku.ssh import git

    return git.git_shell("git-upload-pack", paths.existing(git.app_from_path(path))).wait()


@click.command("git-hook", hidden=True)
@app_argument
@pass_paths
def git_hook(paths: Paths, app: AppPaths) -> int:
    """Deploy what git says was pushed (the post-receive hook)."""
    from piku.ssh import push

    return push.handle(paths, app, sys.stdin, caller(), progress(app))


def _deploy(paths: Paths, app: AppPaths, lines: Iterable[str]) -> int:
    from piku.cli import main
    from piku.ssh import push

    try:
        return push.handle(paths, app, lines, caller(), progress(app))
    except Exception as error:  # noqa: BLE001 (in a copy of a process nobody else reports it)
        main.report(error, ["git-hook"])
        return 2  # no result of a deploy: what it left has to be put right


@click.command(hidden=True)
@pass_paths
def housekeeping(paths: Paths) -> None:
    """Do what is due: certificates, rotating logs, and what extras do now and then."""
    from piku.operate import housekeeping as due

    # What was started here ends when the platform stops.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    due.run(paths, Output(sys.stdout))


@click.command(
    hidden=True, context_settings={"ignore_unknown_options": True, "help_option_names": []}
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@pass_paths
def scp(paths: Paths, words: tuple[str, ...]) -> None:
    """Copy files to and from the piku root, by scp or SFTP."""
    from piku import subprocesses
    from piku.ssh import copy

    subprocesses.exec_program(copy.program(words, paths.root), cwd=paths.root)
