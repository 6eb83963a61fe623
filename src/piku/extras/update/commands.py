"""The command that updates piku itself."""

import sys

import click

from piku.cli.common import own_command
from piku.extras.update import update as work
from piku.output import Output


@click.command()
@click.option("--to", metavar="REF", help="A branch or tag, if piku runs from a checkout.")
def update(to: str | None) -> None:
    """Update piku the way it was installed, and go back if the new version fails.

    A checkout pulls its branch. The package installs the one at PIKU_RELEASE_URL in
    /etc/default/piku.
    """
    work.update(to, own_command(), Output(sys.stdout))
