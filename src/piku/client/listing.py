"""`piku help` on a laptop: its commands and the server's, in one list."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from piku import client
from piku.client import known, plugins
from piku.client.address import Target
from piku.output import table

_HEAD = """\
Usage: piku [-r REMOTE] [-a APP] COMMAND [ARGS]...

  Piku: git push deploys on one server.

Options:
  -r, --remote REMOTE  The server: a git remote, or user@host:app.
  -a, --app APP        The app, instead of the one of the git remote.
  --version            Show the version and exit.
  -h, --help           Show this message and exit.
"""


def show(target: Target) -> int:
    """Print the list, with what the server itself says it has if it answers soon."""
    found = known.of(target)
    own = known.here()["commands"]
    theirs = found.get("commands") or own
    print(_HEAD)
    print(f"Commands for {_title(target)}:")
    _print((name, one["help"]) for name, one in theirs.items() if name not in client.COMMANDS)
    print("\nCommands on this machine:")
    _print((name, own[name]["help"]) for name in client.COMMANDS)
    if others := [name for name in plugins.names() if name not in own and name not in theirs]:
        print("\nPlugins of this machine:")
        _print((name, "") for name in others)
    if not found:
        print(
            f" !     {target.address.destination} did not answer soon: its commands may differ",
            file=sys.stderr,
        )
    return 0


def _title(target: Target) -> str:
    return (
        f"{target.app} on {target.address.destination}"
        if target.app
        else target.address.destination
    )


def _print(rows: Iterator[tuple[str, Any]]) -> None:
    for line in table(rows):
        print(f"  {line}")
