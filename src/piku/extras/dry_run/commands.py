"""The flag that shows what a deploy would change."""

import click

from piku.cli.common import pass_paths, with_flag
from piku.paths import AppPaths, Paths


def with_flags(deploy: click.Command) -> click.Command:
    """`piku deploy` with --dry-run."""
    what = "Show what would change, and change nothing."
    return with_flag(deploy, click.Option(["--dry-run"], is_flag=True, help=what), dry_run)


@pass_paths
def dry_run(
    paths: Paths, _given: bool, /, app: AppPaths, allow_untracked: bool, **_others: object
) -> None:
    """Show what a deploy would change."""
    from piku.extras.dry_run import preview
    from piku.ssh import push

    paths.existing(app.name)
    branch = push.deploying(paths, app)
    refused = push.failed_commit(app) if allow_untracked else ""
    for line in preview.lines(paths, app, refused or push.tip(app, branch)):
        click.echo(line)
