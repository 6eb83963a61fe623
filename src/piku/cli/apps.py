"""Commands for apps and their releases."""

from __future__ import annotations

import json
import sys
import time

import click

from piku import locks
from piku.cli.common import app_argument, pass_paths, progress, release_number, who
from piku.errors import PikuError
from piku.output import Output, table
from piku.paths import AppName, AppPaths, Paths


@click.command()
@pass_paths
def apps(paths: Paths) -> None:
    """List the apps of this server."""
    for name in paths.app_names():
        click.echo(name)


@click.command()
@app_argument
@click.option(
    "--allow-untracked",
    "leave_behind",
    is_flag=True,
    help="Go live although the app left files beside its code.",
)
@pass_paths
def deploy(paths: Paths, app: AppPaths, leave_behind: bool) -> None:
    """Deploy what was last pushed."""
    from piku.deploy import deploy, revision
    from piku.ssh import branches

    output = progress(app)
    with deploy.locked(paths, app, f"a deploy by {who()}", output):
        # Under the lock: a push that we waited for may have moved the branch.
        branch = branches.deploying(paths, app)
        refused = branches.failed_commit(app) if leave_behind else ""
        commit = refused or branches.tip(app, branch)
        request = deploy.Request(
            kind="deploy", description=branches.subject(app, commit), commit=commit, by=who(),
            own=revision.own_settings(app), allow_untracked=leave_behind,
        )  # fmt: skip
        deploy.deploy(paths, app, request, output)
        if refused:
            branches.advance(app, branch, refused)


@click.command()
@app_argument
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")
def releases(app: AppPaths, as_json: bool) -> None:
    """List the releases of an app, the newest first."""
    from piku.deploy import releases

    live = releases.live(app)
    current = live.release if live else 0
    found = releases.releases(app)
    if as_json:
        keys = (
            "number",
            "kind",
            "description",
            "commit",
            "created",
            "by",
            "outcome",
            "step",
            "reason",
            "runtime",
        )
        rows = [
            {key: getattr(r, key) for key in keys} | {"live": r.number == current} for r in found
        ]
        click.echo(json.dumps(rows, indent=1))
        return
    for line in table(_release_row(release, release.number == current) for release in found):
        click.echo(line)


def _release_row(release: object, live: bool) -> tuple[str, ...]:
    from piku.deploy.releases import FAILED, Release

    assert isinstance(release, Release)
    what = release.kind if release.kind in ("push", "deploy") else release.description
    outcome = (
        "live"
        if live
        else f"failed: {release.reason}"[:100]
        if release.outcome == FAILED
        else release.outcome
    )
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(release.created))
    return (f"v{release.number}", what, release.commit[:8], when, release.by.split(" ")[0], outcome)


@click.command()
@app_argument
@click.argument("release", required=False)
@click.option(
    "--allow-untracked",
    "leave_behind",
    is_flag=True,
    help="Go back although the app left files beside its code.",
)
@pass_paths
def rollback(paths: Paths, app: AppPaths, release: str | None, leave_behind: bool) -> None:
    """Go back to an earlier release, by default the last one: its code and settings."""
    from piku.deploy import deploy, lifecycle

    number = None if release is None else release_number(app, release)
    output = progress(app)
    with deploy.locked(paths, app, f"a rollback by {who()}", output):
        lifecycle.rollback(paths, app, number, who(), output, allow_untracked=leave_behind)


def _confirm(app: str) -> None:
    """Have the app's name typed; over ssh that needs no terminal. Raises PikuError for another answer."""
    question = f"This removes {app} with its settings and logs. Type its name to go on: "
    click.echo(question, nl=False, err=True)
    typed = sys.stdin.readline()
    if not typed.endswith("\n"):
        click.echo(err=True)
    if not typed:
        raise PikuError(
            "nobody answered: nothing was removed",
            hint=f"where nobody can be asked: piku destroy {app} --force",
        )
    if typed.strip() != app:
        raise PikuError("that is not its name: nothing was removed")


@click.command()
@click.argument("app", metavar="APP")
@click.option("--force", is_flag=True, help="Do not ask for the app's name.")
@pass_paths
def destroy(paths: Paths, app: str, force: bool) -> None:
    """Remove an app; its data and cache are kept."""
    from piku.operate import destroy as destroying

    found = paths.existing(AppName.parse(app))
    if not force:
        _confirm(app)
    output = Output(sys.stdout)
    with locks.lock(
        found.lock, "destroying the app", waiting=lambda by: output.step(f"Waiting for {by}")
    ):
        destroying.destroy(paths, found, output)
