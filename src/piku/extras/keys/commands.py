"""Commands for the keys that may push."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import click

from piku import files
from piku.cli.common import pass_paths
from piku.errors import PikuError
from piku.output import Output, table
from piku.paths import Paths
from piku.ssh import keys

_OURS = re.compile(r'(?:^|,)command="FINGERPRINT=(?P<fingerprint>\S+) NAME=(?P<name>\S+) ')


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key that may use piku."""

    name: str
    fingerprint: str
    type: str
    comment: str


def parse(line: str) -> Key | None:
    """The key of a line that piku wrote; None for others, which belong to the administrator."""
    entry = keys.ENTRY.fullmatch(line.strip())
    ours = _OURS.search(entry["options"] or "") if entry else None
    if not entry or not ours:
        return None
    return Key(**ours.groupdict(), type=entry["type"], comment=entry["comment"] or "")


def listed(lines: Iterable[str]) -> list[Key]:
    return [key for line in lines if (key := parse(line))]


@click.command("keys")
@pass_paths
def list_keys(paths: Paths) -> None:
    """List the keys that may push."""
    text = files.read(keys.authorized_keys(paths))
    rows = ((key.name, key.fingerprint, key.type, key.comment) for key in listed(text.splitlines()))
    for line in table(rows):
        click.echo(line)


@click.command("keys:remove")
@click.argument("key", metavar="NAME|FINGERPRINT")
@click.option("--force", is_flag=True, help="Remove the key even if it is the only one.")
@pass_paths
def keys_remove(paths: Paths, key: str, force: bool) -> None:
    """Remove a key: by its fingerprint, or by a name that only one key has."""
    removed = remove(paths, key, force=force)
    Output(sys.stdout).step(f"Key {removed.name!r} is removed: {removed.fingerprint}")


def remove(paths: Paths, wanted: str, *, force: bool = False) -> Key:
    """Remove the key with this fingerprint, or the only one of this name; raises PikuError.

    The last key that may push is removed only with `force`.
    """
    with keys.changing(paths) as lines:
        known = {key.fingerprint: key for key in listed(lines)}
        found = [key for key in known.values() if wanted in (key.name, key.fingerprint)]
        if not found:
            raise PikuError(
                f"no key has the name or fingerprint {wanted!r}", hint="see them with: piku keys"
            )
        if len(found) > 1:
            raise PikuError(
                f"{len(found)} keys are called {wanted!r}",
                detail=tuple(f"{key.fingerprint} {key.comment}".rstrip() for key in found),
                hint="remove one by its fingerprint",
            )
        if len(known) == 1 and not force:
            raise PikuError(
                "this is the only key: without it, nobody can push",
                hint="add another one first with `piku setup:ssh`, or use --force",
            )
        lines[:] = [
            line
            for line in lines
            if (key := parse(line)) is None or key.fingerprint != found[0].fingerprint
        ]
    return found[0]
