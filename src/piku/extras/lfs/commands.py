"""What the git-lfs client calls through sshd."""

import sys

import click

from piku.cli.common import own_command, own_environment, pass_paths
from piku.paths import Paths


@click.command("git-lfs-transfer", hidden=True)
@click.argument("path")
@click.argument("operation", type=click.Choice(["upload", "download"]))
@pass_paths
def transfer(paths: Paths, path: str, operation: str) -> None:
    """Take or give the content of LFS files, as git-lfs asks for it."""
    from piku.extras.lfs import transfer as protocol
    from piku.ssh import git

    app = paths.app(git.app_from_path(path))
    if operation == "upload" and (paths.root / "releases").is_dir() and not app.repo.is_dir():
        # `git lfs push` may come before the first `git push`.
        git.create_repository(app, own_command(), own_environment())
    paths.existing(app.name)
    protocol.Connection(app, operation, sys.stdin.buffer, sys.stdout.buffer).serve()
