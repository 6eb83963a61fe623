"""The flag that shows what a deploy would change."""

from __future__ import annotations

import click

from piku.cli.common import pass_paths
from piku.paths import AppPaths, Paths


@pass_paths
def dry_run(paths: Paths, app: AppPaths, allow_untracked: bool) -> None:
    """Show what would change, and change nothing."""
    from piku.extras.dry_run import preview
    from piku.ssh import push

    branch = push.deploying(paths, app)
    refused = push.failed_commit(app) if allow_untracked else ""
    for line in preview.lines(paths, app, refused or push.tip(app, branch)):
        click.echo(line)
