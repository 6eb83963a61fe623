"""Commands that git and scp clients call through sshd, not people."""

from __future__ import annotations

import signal
import sys

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
    return git.receive_pack(paths, paths.app(name), own_command(), own_environment())


@click.command("git-upload-pack", hidden=True)
@click.argument("path")
@pass_paths
def git_upload_pack(paths: Paths, path: str) -> int:
    """Serve a clone or a fetch."""
    from piku.ssh import git

    return git.upload_pack(paths.existing(git.app_from_path(path)))


@click.command("git-hook", hidden=True)
@app_argument
@pass_paths
def git_hook(paths: Paths, app: AppPaths) -> int:
    """Deploy what git says was pushed (the post-receive hook)."""
    from piku.ssh import hook

    return hook.handle(paths, app, sys.stdin, caller(), progress(app))


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
