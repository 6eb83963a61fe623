"""The command `piku audit`."""

import json
import time
from collections.abc import Iterator
from typing import Any

import click

from piku import files
from piku.cli.common import json_option, pass_paths
from piku.extras import shared
from piku.extras.audit import record
from piku.output import printable, table
from piku.paths import AppName, Paths

_FIELDS = ("id", "by", "address", "app", "command", "arguments", "outcome")


@click.command()
@click.argument("app", metavar="[APP]", required=False)
@click.option("--since", metavar="7d", default="7d", help="How far back: 90m, 12h, 7d or 4w.")
@json_option
@pass_paths
def audit(paths: Paths, app: str | None, since: str, as_json: bool) -> None:
    """Show who did what, on this server or with APP, in the last seven days.

    Commands that only read are listed if they were refused. "started" marks what still runs, was
    killed, or became another program, as `run` does.
    """
    after = time.time() - shared.seconds(since)
    name = AppName.parse(app) if app else ""  # it may be gone
    entries = [one for one in _entries(paths) if one["at"] >= after and name in ("", one["app"])]
    if as_json:
        click.echo(json.dumps(entries, indent=1))
        return
    for line in table(_cells(entry) for entry in entries):
        click.echo(printable(line))


def _entries(paths: Paths) -> list[dict[str, Any]]:
    """Each command once, the oldest first; its last line says how it ended."""
    found: dict[str, dict[str, Any]] = {}
    for line in _lines(paths):
        try:
            entry = json.loads(line)
            words = {key: str(entry[key]) for key in _FIELDS}
            found[words["id"]] = {**entry, **words, "at": float(entry["at"])}
        except (ValueError, KeyError, TypeError):
            continue  # the disk was full, or somebody wrote into it
    return list(found.values())


def _lines(paths: Paths) -> Iterator[str]:
    for place in record.places(paths):
        yield from files.read(place).splitlines()


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry["at"]))
    what = " ".join(filter(None, (entry["command"], entry["app"], entry["arguments"])))
    return (when, entry["by"], entry["address"] or "-", what, entry["outcome"])
