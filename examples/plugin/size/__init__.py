"""`piku size`: the disk usage of each app. An example of a plugin, and useful too."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import click

from piku.cli.common import app_argument, pass_paths
from piku.paths import AppPaths, Paths

PARTS = ("repos", "releases", "envs", "data", "cache", "logs")


def cli_commands() -> click.Group:
    """What piku asks for: a group, whose commands become commands of piku."""
    return commands


@click.group()
def commands() -> None:
    """Commands for the sizes of apps."""


@commands.command()
@click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts: bytes.")
@pass_paths
def size(paths: Paths, as_json: bool) -> None:
    """Show the disk usage of each app, the largest first."""
    found = {name: sum(parts(paths, name).values()) for name in paths.app_names()}
    ordered = dict(sorted(found.items(), key=lambda item: -item[1]))
    if as_json:
        click.echo(json.dumps(ordered))
        return
    for name, total in ordered.items():
        click.echo(f"{total / 2**20:8.1f} MB  {name}")


@commands.command("size:of")
@app_argument
@pass_paths
def size_of(paths: Paths, app: AppPaths) -> None:
    """Show the disk usage of APP, folder by folder."""
    for part, total in parts(paths, app.name).items():
        click.echo(f"{total / 2**20:8.1f} MB  {part}")


def parts(paths: Paths, app: str) -> dict[str, int]:
    """The bytes of an app's folders, by where they are below the piku root."""
    return {part: sum(set_of(paths.root / part / app).values()) for part in PARTS}


def set_of(folder: Path) -> dict[tuple[int, int], int]:
    """The bytes on the disk of each file below a folder; one with two names counts once."""
    return {(found.st_dev, found.st_ino): found.st_blocks * 512 for found in _each(folder)}


def _each(folder: Path) -> Iterator[os.stat_result]:
    for top, _, files in os.walk(folder):
        for name in files:
            try:
                yield os.lstat(os.path.join(top, name))
            except FileNotFoundError:  # it has gone since
                continue
