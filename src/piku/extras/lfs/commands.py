"""What the git-lfs client calls through sshd."""

from __future__ import annotations

import sys

import click

from piku.cli.common import pass_paths
from piku.paths import Paths


@click.command("git-lfs-transfer", hidden=True)
@click.argument("path")
@click.argument("operation", type=click.Choice(["upload", "download"]))
@pass_paths
def transfer(paths: Paths, path: str, operation: str) -> None:
    """Take or give the content of LFS files, as git-lfs asks for it."""
    from piku.extras.lfs import transfer as protocol
    from piku.ssh import git

    app = paths.existing(git.app_from_path(path))
    protocol.Connection(app, operation, sys.stdin.buffer, sys.stdout.buffer).serve()
