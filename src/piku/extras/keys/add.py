"""The command that adds a key with a role, or those of a whole class."""

import csv
import functools
import itertools
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_network
from typing import IO, Any

import click

from piku import files
from piku.cli.common import own_command, own_environment, pass_paths
from piku.errors import PikuError
from piku.extras import shared
from piku.extras.keys import commands
from piku.extras.keys.commands import ADMIN
from piku.output import Output
from piku.paths import Paths
from piku.ssh import keys

_PATTERN = re.compile(r"[A-Za-z0-9*][A-Za-z0-9._*-]{0,62}")


def _pattern(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    if text is not None and not _PATTERN.fullmatch(text):
        hint = "it is an app's name, in which * stands for anything"
        raise PikuError(f"{text[:80]!r} is not a pattern of names", hint=hint, code=2)
    return text


def _network(_context: click.Context, _option: click.Parameter, text: str | None) -> str:
    """from= of sshd(8)."""
    try:
        return ",".join(str(ip_network(one)) for one in text.split(",")) if text else ""
    except ValueError as error:
        hint = "give an address, or a network such as 192.0.2.0/24"
        raise PikuError(f"{error}", hint=hint, code=2) from None


def _expiry(_context: click.Context, _option: click.Parameter, text: str | None) -> str:
    """expiry-time= of sshd(8), in UTC."""
    if text is None:
        return ""
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + shared.seconds(text)))


def _bytes(_context: click.Context, _option: click.Parameter, text: str | None) -> str:
    found = re.fullmatch(r"([1-9][0-9]{0,5})([MG])", text or "")
    if text and not found:
        raise PikuError(f"{text[:80]!r} is not a size", hint="write 500M or 2G", code=2)
    return str(int(found[1]) << {"M": 20, "G": 30}[found[2]]) if found else ""


_limits = (
    click.option("--role", type=click.Choice(["admin", "deploy", "read"]), default="deploy",
        help="What it may do; by default deploy."),
    click.option("--app", "apps", metavar="PATTERN", callback=_pattern,
        help="Only for these apps, such as shop-*."),
    click.option("--from", "network", metavar="CIDR", callback=_network,
        help="Only from this network."),
    click.option("--expires", metavar="30d", callback=_expiry,
        help="Only for so long: 12h, 30d or 8w."),
    click.option("--max-apps", metavar="N", type=click.IntRange(1),
        help="How many apps it may create."),
    click.option("--max-disk", metavar="500M", callback=_bytes,
        help="How much of the disk its apps may take before a push."),
)  # fmt: skip


def _limited(function: Callable[..., None]) -> Callable[..., None]:
    return functools.reduce(lambda inner, option: option(inner), reversed(_limits), function)


@click.command("keys:add")
@click.argument("name", required=False)
@click.argument("file", metavar="[FILE|-]", type=click.File("rb"), default="-")
@click.option(
    "--csv", "table", metavar="FILE|-", type=click.File("rb"),
    help="Add the keys of a class: a table of names and keys.",
)  # fmt: skip
@_limited
@pass_paths
def keys_add(
    paths: Paths, /, name: str | None, file: IO[bytes], table: IO[bytes] | None, **given: Any
) -> None:
    """Add a public key with a role, or those of a class.

    With `read` it sees apps, processes and logs; with `deploy` it also pushes, restarts and rolls
    back; with `admin` it may do everything. The key comes from FILE, or standard input. A class is
    a table with a name and a key on each line; each key is for apps called NAME-*, or for those
    that a third column names.
    """
    if (name is None) == (table is None) or (table and given["apps"]):
        raise PikuError("give a name and a key, or --csv FILE without --app", code=2)
    if table is None:
        _add(paths, str(name), files.decode(file.read(65536)), given)
        return
    rows = list(_rows(files.decode(table.read(2**20))))
    here = commands.known(paths)
    _refuse_overlaps({(key.name, key.apps) for key in here} | {(row[1], row[3]) for row in rows})
    for number, owner, text, apps in rows:
        if any(key.name == owner and key.blob in text.split() for key in here):
            Output(sys.stdout).step(f"Key {owner!r} is here already")
            continue
        try:
            _add(paths, owner, text, {**given, "apps": apps})
        except PikuError as error:
            hint = "the lines before it are added, and skipped the next time"
            raise error.within(f"line {number} ({owner}): ", hint) from None


def _add(paths: Paths, name: str, text: str, given: Mapping[str, Any]) -> None:
    """Add one key, and say so."""
    role, apps, most = given["role"], given["apps"] or "*", given["max_apps"]
    if role == ADMIN and (apps != "*" or most or given["max_disk"]):
        hint = "leave out --app, --max-apps and --max-disk, or give another role"
        raise PikuError("a key of the role admin is for everything", hint=hint, code=2)
    wanted = {
        "PIKU_ROLE": "" if role == ADMIN else role, "PIKU_APPS": "" if apps == "*" else apps,
        "PIKU_MAX_APPS": str(most or ""), "PIKU_MAX_DISK": given["max_disk"],
    }  # fmt: skip
    variables = {variable: value for variable, value in wanted.items() if value}
    options = (("from", given["network"]), ("expiry-time", given["expires"]))
    limits = "".join(f'{option}="{value}",' for option, value in options if value)
    variables |= own_environment()
    fingerprint = keys.add(paths, text, name, own_command(), variables, limits)
    output = Output(sys.stdout)
    output.step(f"Key {name!r} has the role {role} for {apps}: {fingerprint}")
    matching = [app for app in paths.app_names() if apps != "*" and fnmatchcase(app, apps)]
    if matching:
        output.detail(f"Of the apps here, these match: {', '.join(matching)}")


def _rows(text: str) -> Iterator[tuple[int, str, str, str]]:
    """Each line's number, name, key and pattern. Spreadsheets also write semicolons, and a head."""
    lines = text.splitlines()
    separator = ";" if lines and ";" in lines[0] else ","
    for number, row in enumerate(csv.reader(lines, delimiter=separator), 1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or (number == 1 and cells[1:2] == ["key"]):
            continue
        if len(cells) not in (2, 3) or not all(cells[:2]):
            hint = "write NAME,KEY or NAME,KEY,PATTERN; nothing was added"
            raise PikuError(f"line {number} has not two or three columns", hint=hint, code=2)
        apps = "".join(cells[2:]) or f"{cells[0]}-*"
        if not _PATTERN.fullmatch(apps):
            hint = "use letters, digits, '.', '_' and '-'; nothing was added"
            raise PikuError(f"line {number}: no app can be called {apps[:80]!r}", hint=hint, code=2)
        yield number, cells[0], cells[1], apps


def _refuse_overlaps(owners: Iterable[tuple[str, str]]) -> None:
    """Of the pupils ann and ann-marie, ann-* would have the apps of both."""
    names = sorted(name for name, apps in owners if apps == f"{name}-*")
    for name, other in itertools.product(names, names):
        if other.startswith(f"{name}-"):
            raise PikuError(
                f"the apps of {other!r} would also be those of {name!r}: they match '{name}-*'",
                hint="nothing was added; no name may begin with another one and '-'",
            )
