"""Commands for the SSH keys that may push."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from piku.cli.common import own_command, own_environment, pass_paths
from piku.errors import PikuError
from piku.output import Output, table
from piku.paths import Paths

_LONGEST = 65536  # characters of a public key


@click.command("setup:ssh")
@click.argument("file", metavar="FILE|-", type=click.Path(allow_dash=True))
@click.option("--name", default="default", show_default=True, help="A name for the key.")
@pass_paths
def setup_ssh(paths: Paths, file: str, name: str) -> None:
    """Allow a public key to push; '-' reads it from standard input."""
    from piku.ssh import keys

    try:
        text = sys.stdin.read(_LONGEST) if file == "-" else Path(file).read_text(errors="replace")
    except OSError as error:
        raise PikuError(f"{file} cannot be read: {error.strerror}") from None
    key = keys.add(paths, text[:_LONGEST], name, own_command(), own_environment())
    said = f"Key {key.name!r} may push now: {key.fingerprint} {key.comment}"
    Output(sys.stdout).step(said.rstrip())


@click.command("keys")
@pass_paths
def list_keys(paths: Paths) -> None:
    """List the keys that may push."""
    from piku.ssh import keys

    rows = ((key.name, key.fingerprint, key.type, key.comment) for key in keys.listed(paths))
    for line in table(rows):
        click.echo(line)


@click.command("keys:remove")
@click.argument("key", metavar="NAME|FINGERPRINT")
@click.option("--force", is_flag=True, help="Remove the key even if it is the only one.")
@pass_paths
def keys_remove(paths: Paths, key: str, force: bool) -> None:
    """Remove a key: by its fingerprint, or by a name that only one key has."""
    from piku.ssh import keys

    removed = keys.remove(paths, key, force=force)
    Output(sys.stdout).step(f"Key {removed.name!r} is removed: {removed.fingerprint}")
