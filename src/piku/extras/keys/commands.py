"""Commands that list the keys that may use piku, and remove one."""

import re
import shlex
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import takewhile

import click

from piku import files
from piku.cli.common import pass_paths
from piku.errors import PikuError
from piku.output import Output, table
from piku.paths import Paths
from piku.ssh import keys

ADMIN = "admin"  # the role of a key that has none (piku.extras.roles)
_OPTION = re.compile(r'(?:^|,)([\w-]+)="((?:\\"|[^"])*)"')


@dataclass(frozen=True, kw_only=True)
class Key:
    """A key that may use piku, and the limits of it."""

    name: str
    fingerprint: str
    type: str
    comment: str
    role: str = ADMIN
    apps: str = "*"
    max_apps: str = ""
    max_disk: str = ""  # bytes
    network: str = ""  # from= of sshd(8)
    expires: str = ""  # expiry-time= of sshd(8)
    blob: str = field(default="", compare=False)  # the key itself

    @property
    def limits(self) -> str:
        """Its role and further limits, in words."""
        time = re.sub(r"(....)(..)(..)(..)(..)..Z", r"\1-\2-\3 \4:\5 UTC", self.expires)
        given = (
            ("for", self.apps if self.apps != "*" else ""),
            ("from", self.network),
            ("until", time),
            ("max-apps", self.max_apps),
            ("max-disk", f"{int(self.max_disk) >> 20}M" if self.max_disk else ""),
        )
        return " ".join((self.role, *(f"{what} {value}" for what, value in given if value)))


def parse(line: str) -> Key | None:
    """The key of a line that piku wrote; None for others, which belong to the administrator."""
    entry = keys.ENTRY.fullmatch(line.strip())
    options = dict(_OPTION.findall(entry["options"] or "")) if entry else {}
    try:
        words = shlex.split(options.get("command", "").replace('\\"', '"'))
    except ValueError:
        return None
    given = dict(word.split("=", 1) for word in takewhile(lambda word: "=" in word, words))
    if not entry or list(given)[:2] != ["FINGERPRINT", "NAME"]:
        return None
    return Key(
        name=given["NAME"], fingerprint=given["FINGERPRINT"],
        type=entry["type"], blob=entry["blob"], comment=entry["comment"] or "",
        role=given.get("PIKU_ROLE", ADMIN), apps=given.get("PIKU_APPS", "*"),
        max_apps=given.get("PIKU_MAX_APPS", ""), max_disk=given.get("PIKU_MAX_DISK", ""),
        network=options.get("from", ""), expires=options.get("expiry-time", ""),
    )  # fmt: skip


def listed(lines: Iterable[str]) -> list[Key]:
    return [key for line in lines if (key := parse(line))]


def known(paths: Paths) -> list[Key]:
    """The keys of this server."""
    return listed(files.read(keys.authorized_keys(paths)).splitlines())


@click.command("keys")
@pass_paths
def list_keys(paths: Paths) -> None:
    """List the keys that may use piku, with their roles."""
    rows = ((key.name, key.fingerprint, key.type, key.limits, key.comment) for key in known(paths))
    for line in table(rows):
        click.echo(line)


@click.command("keys:remove")
@click.argument("key", metavar="NAME|FINGERPRINT")
@click.option("--force", is_flag=True, help="Remove the key even if no other administers piku.")
@pass_paths
def keys_remove(paths: Paths, key: str, force: bool) -> None:
    """Remove a key: by its fingerprint, or by a name that only one key has."""
    removed = remove(paths, key, force=force)
    Output(sys.stdout).step(f"Key {removed.name!r} is removed: {removed.fingerprint}")


def remove(paths: Paths, wanted: str, *, force: bool = False) -> Key:
    """Remove the key with this fingerprint, or the only one of this name; raises PikuError.

    The last key of the role `admin` is removed only with `force`.
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
        if [key for key in known.values() if key.role == ADMIN] == found and not force:
            raise PikuError(
                "this is the only key of an administrator: without it, nobody can manage piku",
                hint="add another one first with `piku setup:ssh`, or use --force",
            )
        lines[:] = [
            line
            for line in lines
            if (key := parse(line)) is None or key.fingerprint != found[0].fingerprint
        ]
    return found[0]
