"""`upload` and `download`: files of an app, by scp."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from piku.client import ssh
from piku.client.commands import pass_target
from piku.client.target import Target
from piku.errors import PikuError


@click.command()
@click.argument("path", metavar="PATH")
@click.argument("place", metavar="[PLACE]", default=".")
@pass_target
def download(target: Target, path: str, place: str) -> int:
    """Copy a file or folder of the app's data to this machine.

    PATH is below the app's data; with a leading "/", it is below the piku root, as in
    /logs/APP/web.1.log.
    """
    return _scp(target, [_remote(target, path), _local(place)])


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--to", "path", metavar="PATH", default=".",
    help="Where to, below the app's data; with a leading '/', below the piku root.",
)  # fmt: skip
@pass_target
def upload(target: Target, files: Sequence[str], path: str) -> int:
    """Copy files or folders from this machine into the app's data."""
    if missing := [file for file in files if not os.path.lexists(file)]:
        raise PikuError(f"there is no file {missing[0]}")
    return _scp(target, [*map(_local, files), _remote(target, path)])


def _remote(target: Target, path: str) -> str:
    place = path.lstrip("/") if path.startswith("/") else f"data/{target.app}/{path}"
    return f"{target.address.login}:{place}".removesuffix("/.")


def _local(path: str) -> str:
    """A path that scp cannot take for an option or a server."""
    return path if path.startswith(("/", ".")) else f"./{path}"


def _scp(target: Target, paths: Sequence[str]) -> int:
    port = ["-P", target.address.port] if target.address.port else []
    with tempfile.TemporaryDirectory(prefix="piku-") as folder:
        # scp takes a program without options: this one has those of git's configuration.
        program = Path(folder, "ssh")
        program.write_text(f'#!/bin/sh\nexec {shlex.join(ssh.program())} "$@"\n')
        program.chmod(0o700)
        argv = ["scp", "-r", "-p", "-S", str(program), *port, "--", *paths]
        return subprocess.run(argv, check=False).returncode
