"""`config:push` and `config:pull`: an app's settings, and a .env file on the laptop."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import click

from piku import dotenv, files
from piku.client import ssh
from piku.client.commands import confirm, pass_target, yes_option
from piku.client.target import Target
from piku.errors import PikuError
from piku.output import Output


@click.command("config:push")
@click.argument("file", metavar="[FILE]", default=".env", type=click.Path(path_type=Path))
@click.option("--no-restart", is_flag=True, help="Do not apply it before the next `piku restart`.")
@yes_option
@pass_target
def config_push(target: Target, file: Path, no_restart: bool, yes: bool) -> None:
    """Set the app's settings from a .env file; other settings stay.

    Values are literal: $NAME is not replaced. The names that differ are shown first.
    """
    if not file.is_file():
        raise PikuError(f"there is no file {file}", hint="name another one: piku config:push FILE")
    values = dotenv.parse(files.read(file), str(file))
    known = ssh.output(target, ["apps", "--plain"]).split()
    server = _on_server(target) if target.app in known else {}  # config:set makes it
    if not _shown(server, values, f"Settings of {target.app}"):
        return
    confirm("Set them?", yes=yes)
    changed = {name: value for name, value in values.items() if server.get(name) != value}
    # Over standard input: everybody on a machine can see the words of a command.
    with tempfile.TemporaryFile() as stream:
        stream.write(dotenv.render(changed).encode(errors="surrogateescape"))
        stream.seek(0)
        os.dup2(stream.fileno(), 0)
    ssh.become(target, ["config:set", *(["--no-restart"] if no_restart else []), "-"])


@click.command("config:pull")
@click.argument("file", metavar="[FILE]", default=".env", type=click.Path(path_type=Path))
@yes_option
@pass_target
def config_pull(target: Target, file: Path, yes: bool) -> None:
    """Write the app's settings into a .env file; other lines stay."""
    text = files.read(file)
    server = _on_server(target)
    if not _shown(dotenv.parse(text, str(file)), server, f"Settings in {file}"):
        return
    if text:
        confirm(f"Change {file}?", yes=yes)
    place = Path(os.path.realpath(file))  # of a link, the file stays where it is
    files.write(place, updated(text, str(file), server), mode=0o600)
    Output(sys.stdout).step(f"{file} is written; it holds secrets: do not commit it")


def _on_server(target: Target) -> dict[str, str]:
    return dotenv.parse(ssh.output(target, ["config"]), f"settings of {target.app}")


def updated(text: str, source: str, values: Mapping[str, str]) -> str:
    """The file's text with these values; other lines stay, and new names come last."""
    done, position, left = "", 0, dict(values)
    for entry in dotenv.entries(text, source):
        value = left.pop(entry["name"], None)
        if value is not None and value != dotenv.value_of(entry, {}):
            changed = dotenv.render({entry["name"]: value}).rstrip("\n")
            done, position = done + text[position : entry.start()] + changed, entry.end()
    done += text[position:]
    unended = left and done and not done.endswith("\n")
    return done + ("\n" if unended else "") + dotenv.render(left)


def _shown(before: Mapping[str, str], after: Mapping[str, str], title: str) -> bool:
    """Show the names of what differs, never the values; returns whether anything does."""
    output = Output(sys.stdout)
    changed = [name for name, value in after.items() if before.get(name) != value]
    output.step(f"{title} to change:" if changed else "Nothing to change")
    for name in changed:
        output.detail(f"{'changed' if name in before else 'new':<7}  {name}")
    return bool(changed)
