"""Files that a command of the server's takes, and that lie on this machine: keys and certificates. They
travel on standard input; nothing else that the words happen to name does."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import replace

import click

from piku.cli import app_argument
from piku.client import ssh
from piku.client.address import Target
from piku.errors import PikuError

_MOST = 1 << 20  # bytes


def over(target: Target, words: Sequence[str]) -> int | None:
    """Run one of COMMANDS with the files that it takes, and return its exit code; None when none of them
    is to be had here."""
    return COMMANDS[words[0]](target, words)


def _key(target: Target, words: Sequence[str]) -> int | None:
    places = _arguments(words[0], words[1:])
    if len(places) != 1 or not _is_here(file := words[1 + places[0]]):
        return None
    text = _read(file)
    if "PRIVATE KEY" in text or "Private-Lines:" in text:  # the latter is PuTTY's
        raise PikuError(
            f"{file} is a private key: it stays here", hint="give the public one, a .pub file"
        )
    there = [*words]
    there[1 + places[0]] = "-"
    return ssh.feed(target, there, text)


def _certificate(target: Target, words: Sequence[str]) -> int | None:
    given = (
        app_argument.with_app(_command(words[0]), words[1:], target.app)
        if target.app
        else [*words[1:]]
    )
    places = _arguments(words[0], given)[1:]  # behind the app
    files = [given[place] for place in places]
    if not any(map(_is_here, files)):
        return None
    text = "\n".join(map(_read, files))
    rest = [word for place, word in enumerate(given) if place not in places]
    # The app is among the words by now, and said twice it would count twice.
    return ssh.feed(replace(target, app=""), [words[0], *rest, "-"], text)


COMMANDS = {"setup:ssh": _key, "certs:add": _certificate}


def _command(name: str) -> click.Command:
    from piku.cli.main import cli

    command = cli.get_command(click.Context(cli, info_name="piku"), name)
    assert command is not None
    return command


def _arguments(name: str, words: Sequence[str]) -> list[int]:
    """Where among a command's words its arguments are, by its own parameters."""
    return [
        place
        for place, word in enumerate(words)
        if word in app_argument._arguments(_command(name), words)
    ]


def _is_here(file: str) -> bool:
    return file != "-" and os.path.exists(file) and not os.path.isdir(file)


def _read(file: str) -> str:
    with open(sys.stdin.fileno() if file == "-" else file, "rb", closefd=file != "-") as stream:
        data = stream.read(_MOST + 1)
    if len(data) > _MOST:
        raise PikuError(
            f"{file} is larger than {_MOST >> 20} MiB: that is no key and no certificate"
        )
    return data.decode(errors="surrogateescape")
