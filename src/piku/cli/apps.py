"""Commands that change an app, and its releases."""

import json
import re
import sys
import time
from dataclasses import asdict

import click

from piku import dotenv, locks
from piku.cli.common import (
    app_argument,
    caller,
    changing,
    json_option,
    make,
    new_app_argument,
    pass_paths,
    release_number,
)
from piku.deploy import deploy as runbook
from piku.deploy import lifecycle, releases
from piku.deploy.releases import Release
from piku.errors import PikuError
from piku.operate import destroy as removal
from piku.output import Output, table
from piku.paths import AppPaths, Paths
from piku.ssh import push

_allow_untracked = click.option(
    "--allow-untracked", is_flag=True, help="Go live even if the app left files beside its code."
)


@click.command()
@new_app_argument
@_allow_untracked
@pass_paths
def deploy(paths: Paths, app: AppPaths, allow_untracked: bool) -> None:
    """Deploy what was last pushed."""
    with changing(paths, paths.existing(app.name), "a deploy") as output:
        # Under the lock: a push that we waited for may have moved the branch.
        branch = push.deploying(paths, app)
        refused = push.failed_commit(app) if allow_untracked else ""
        commit = refused or push.tip(app, branch)
        request = runbook.Request(
            kind="deploy", description=push.subject(app, commit), commit=commit, by=caller(),
            own=dotenv.load(app.settings), allow_untracked=allow_untracked,
        )  # fmt: skip
        runbook.deploy(paths, app, request, output)
        if refused:  # that is live now
            push.git(app, "update-ref", f"refs/heads/{branch}", refused)


@click.command("releases")
@app_argument
@json_option
def list_releases(app: AppPaths, as_json: bool) -> None:
    """List the releases of an app, the newest first."""
    live = releases.live(app)
    current = live.release if live else 0
    found = list(releases.releases(app))
    if as_json:
        rows = [{**asdict(one), "live": one.number == current} for one in found]
        for row in rows:
            del row["settings"]  # they may be secret
        click.echo(json.dumps(rows, indent=1))
        return
    for line in table(_row(release, current) for release in found):
        click.echo(line)


def _row(release: Release, current: int) -> tuple[str, ...]:
    pushed = release.kind in ("push", "deploy")
    what = f"{release.kind}: {release.description}" if pushed else release.description
    outcome = f"failed: {release.reason}"[:100] if release.reason else release.outcome
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(release.created))
    state = "live" if release.number == current else outcome
    return (f"v{release.number}", what, release.commit[:8], when, release.by.split(" ")[0], state)


@click.command()
@app_argument
@click.argument("release", required=False)
@_allow_untracked
@pass_paths
def rollback(paths: Paths, app: AppPaths, release: str | None, allow_untracked: bool) -> None:
    """Go back to an earlier release, by default the last one: its code and settings."""
    number = None if release is None else release_number(app, release)
    with changing(paths, app, "a rollback") as output:
        lifecycle.rollback(paths, app, number, caller(), output, allow_untracked=allow_untracked)


@click.command("ps:scale")
@new_app_argument
@click.argument("counts", metavar="PROCESS=COUNT...", nargs=-1, required=True)
@pass_paths
def ps_scale(paths: Paths, app: AppPaths, counts: tuple[str, ...]) -> None:
    """Set how many processes of a type run; the others are not touched."""
    wanted: dict[str, int] = {}
    for text in counts:
        kind, equals, number = text.partition("=")
        if not equals or not kind or not re.fullmatch("[0-9]{1,3}", number) or int(number) > 100:
            hint = "counts are whole numbers from 0 to 100"
            raise PikuError(f"{text[:60]!r} is not of the form PROCESS=COUNT", hint=hint, code=2)
        wanted[kind] = int(number)
    make(paths, app)
    with changing(paths, app, "ps:scale") as output:
        lifecycle.scale(paths, app, wanted, output)


@click.command()
@app_argument
@pass_paths
def restart(paths: Paths, app: AppPaths) -> None:
    """Restart an app's processes without downtime."""
    with changing(paths, app, "a restart") as output:
        lifecycle.restart(paths, app, output)


@click.command()
@app_argument
@pass_paths
def stop(paths: Paths, app: AppPaths) -> None:
    """Stop an app's processes until `piku restart`."""
    with changing(paths, app, "a stop") as output:
        lifecycle.stop(paths, app, output)


@click.command()
@app_argument
@click.option("--force", is_flag=True, help="Do not ask for the app's name.")
@pass_paths
def destroy(paths: Paths, app: AppPaths, force: bool) -> None:
    """Remove an app; its data and cache are kept."""
    if not force:
        click.echo(f"This removes {app.name} with its settings and logs. Type its name:", err=True)
        if sys.stdin.readline().strip() != app.name:
            hint = f"without a question: piku destroy {app.name} --force"
            raise PikuError("that is not its name: nothing was removed", hint=hint)
    output = Output(sys.stdout)
    with locks.lock(
        app.lock, "destroying the app", waiting=lambda who: output.step(f"Waiting for {who}")
    ):
        removal.destroy(paths, app, output)
