"""The commands that read a backup."""

import contextlib
import io
import os
import sys
from collections.abc import Iterator

import click

from piku.cli.common import pass_paths
from piku.errors import PikuError
from piku.extras import shared
from piku.extras.restore import restore as restoring
from piku.output import Output
from piku.paths import Paths


@contextlib.contextmanager
def _opened(file: str) -> Iterator[io.BufferedReader]:
    if file == "-" and os.isatty(0):
        hint = "for example: ssh piku@server restore - < FILE"
        raise PikuError("'-' reads a backup from standard input", hint=hint, code=2)
    try:
        with open(0 if file == "-" else file, "rb", closefd=file != "-") as stream:
            yield stream
    except FileNotFoundError as error:
        if error.filename != file:
            raise
        hint = "from another machine, send it: ssh piku@server restore - < FILE"
        raise PikuError(f"{file}: {error.strerror}", hint=hint) from None


@click.command()
@click.argument("file", metavar="FILE|-")
@click.option("--as", "name", metavar="NAME", help="The app's name here; it gets no host name.")
@pass_paths
def restore(paths: Paths, file: str, name: str | None) -> None:
    """Create an app from a backup, of this or another server, and deploy it."""
    output = Output(sys.stdout)
    shared.undo_when_ended()
    with _opened(file) as stream:
        app = restoring.restore(paths, stream, name, output)
    output.step(f"{app.name} is restored")
    if name:
        output.detail(f"Give it a host name: piku config:set {app.name} NGINX_SERVER_NAME=…")


@click.command("backup:verify")
@click.argument("file", metavar="FILE|-")
@pass_paths
def backup_verify(paths: Paths, file: str) -> None:
    """Unpack a backup into a scratch folder, and say what is in it."""
    with _opened(file) as stream, restoring.unpacked(paths, stream, lambda _: None) as found:
        for line in restoring.report(found):
            click.echo(line)
