"""The command that updates piku itself."""

from __future__ import annotations

import os
import sys

import click

import piku
from piku.cli.common import own_command
from piku.errors import PikuError
from piku.output import Output


@click.command()
@click.option(
    "--to", metavar="REF", help="A branch, tag or commit; for a piku that runs from a checkout."
)
@click.option("--check", is_flag=True, help="Only tell how this piku was installed.")
def update(to: str | None, check: bool) -> None:
    """Update piku the way it was installed, and go back if the new version fails.

    A checkout fetches, and follows only what builds on it. The package fetches the one that
    PIKU_RELEASE_URL in /etc/default/piku names; without that, it tells how apt does it.
    """
    from piku.extras.update import update as work

    own = work.installed()
    output = Output(sys.stdout)
    output.step(f"piku {piku.__version__}, a {own.kind} in {own.folder}")
    if check:
        return
    if own.kind != "copy" and not os.access(own.folder, os.W_OK):
        raise PikuError(
            f"{own.folder} belongs to somebody else",
            hint="update it on the server: sudo piku update",
        )
    work.update(own, to, own_command(), output)
