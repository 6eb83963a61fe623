"""The commands for regular backups."""

import sys
import time

import click

from piku import files, records
from piku.cli.common import app_argument
from piku.errors import PikuError
from piku.extras.backup_schedule import schedule, targets
from piku.output import Output, duration
from piku.paths import AppPaths


@click.command("backup:run")
@app_argument
def backup_run(app: AppPaths) -> None:
    """Make an app's scheduled backup now; without a schedule, one that is kept here."""
    Output(sys.stdout).step(f"The backup of {app.name} is in {schedule.run(app)}")


@click.command("backup:schedule")
@app_argument
@click.argument("when", metavar="[SCHEDULE]", required=False)
@click.option("--keep", metavar="N", type=click.IntRange(1, 9999), default=7, show_default=True,
              help="How many backups to keep.")  # fmt: skip
@click.option("--to", metavar="PLACE", default="",
              help="/folder, user@host:folder or rclone:remote:path; by default here.")  # fmt: skip
@click.option("--encrypt", metavar="RECIPIENT", default="",
              help="A public key of age or SSH, or a recipient of gpg.")  # fmt: skip
@click.option("--off", is_flag=True, help="Stop it; the backups made so far stay.")
def backup_schedule(
    app: AppPaths, when: str | None, keep: int, to: str, encrypt: str, off: bool
) -> None:
    """Back an app up regularly, such as "@daily", or show its schedule and backups."""
    output = Output(sys.stdout)
    if off:
        files.remove(schedule.plan_file(app))
        output.step(f"{app.name} is no longer backed up on a schedule")
    elif when is None:
        _show(app)
    else:
        schedule.parse(when)
        if to:
            targets.parse(to)
        if encrypt:
            targets.check_recipient(encrypt)
        made = schedule.Plan(when=when, since=time.time(), keep=keep, to=to, encrypt=encrypt)
        records.save(schedule.plan_file(app), made)
        output.step(f"{app.name} is backed up {when} to {to or targets.own(app)}, {keep} are kept")
        if not to:
            output.detail("That is on the same disk: --to names another place")
        output.detail(f"Try it now: piku backup:run {app.name}")


def _show(app: AppPaths) -> None:
    found, last = schedule.plan(app), schedule.state(app)
    if found is None:
        raise PikuError(
            f"{app.name} has no backup schedule", hint=f'piku backup:schedule {app.name} "@daily"'
        )
    click.echo(f"{found.when} to {found.to or targets.own(app)}, {found.keep} are kept")
    if last.succeeded:
        ago = duration(time.time() - last.succeeded)
        click.echo(f"last good one: {ago} ago, in {last.place}")
    if last.error:
        click.echo(f"the last one failed: {last.error}")
