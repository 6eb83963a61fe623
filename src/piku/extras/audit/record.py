"""The log of commands: `audit.log` in the piku root, with a line of JSON for the start of a command
and one for its end, which says the same and the outcome.

A command that is killed, or becomes another program (`run`, `scp`), has its first line only. Lines
are only ever added. A file that has grown large is renamed, in place of the one before it.
"""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click

from piku import locks, plugins
from piku.cli import main
from piku.cli.commands import LOOKS
from piku.cli.common import caller, positional
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppName, Paths

SIZE = 4 * 2**20  # bytes, of each of the two files; some 10,000 commands
STARTED, OK, REFUSED = "started", "ok", "refused"
# What only looks, and shows no secret, is on record when it is refused.
_LOOKS = (*LOOKS, "alerts", "audit", "certs", "cron", "doctor", "keys", "metrics", "status", "url")
# Commands none of whose words can be a secret. Of others, the app and the flags are kept.
_PLAIN = (
    "certs:remove", "config:get", "cron:run", "git-lfs-transfer", "keys:add", "keys:remove",
    "ps:scale", "ps:stop", "rollback", "setup:ssh",
)  # fmt: skip
_PAIR = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=.*", re.S)


def places(paths: Paths) -> tuple[Path, Path]:
    """The file before, and the one that is written."""
    return paths.root / "audit.log.1", paths.root / "audit.log"


@contextlib.contextmanager
def record(context: click.Context, command: click.Command, words: Sequence[str]) -> Iterator[None]:
    """Put the command that runs in this context on record."""
    paths: Paths = context.obj
    ssh = "SSH_ORIGINAL_COMMAND" in os.environ
    internal = command.hidden and not ssh  # what piku itself runs: the hook, housekeeping
    quiet = internal or command.name in _LOOKS
    entry = _entry(command, words)
    if not quiet:
        _append(paths, entry)
    outcome = "interrupted"
    try:
        yield
    except click.exceptions.Exit as end:
        outcome = f"exit {end.exit_code}" if end.exit_code else OK
        raise
    except Exception as error:
        # click notes the command when it has been found, and may be used.
        outcome = _failure(paths, error) if context.invoked_subcommand else REFUSED
        raise
    finally:
        if not quiet or (outcome == REFUSED and not internal):
            _append(paths, {**entry, "outcome": outcome}, warns=quiet)


def _failure(paths: Paths, error: Exception) -> str:
    """With which exit code the command ends."""
    if isinstance(error, BrokenPipeError):  # the reader has seen enough
        return OK
    if isinstance(error, (click.Abort, EOFError)):
        return "exit 130"
    found = main.expected(error) or plugins.failure(paths, error)
    return f"exit {found.code if found else 3}"


def _entry(command: click.Command, words: Sequence[str]) -> dict[str, object]:
    by, _, fingerprint = caller().partition(" ")
    address = os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_CLIENT") or ""
    app, rest = _arguments(command, words)
    now = time.time()
    return {
        "id": f"{os.getpid()}.{now:.6f}",
        "at": round(now, 3),
        "by": by,
        "key": fingerprint.strip("()"),
        "address": address.split(" ")[0],
        "command": str(command.name),
        "app": app,
        "arguments": _without_secrets(command, app, rest, words),
        "outcome": STARTED,
    }


def _arguments(command: click.Command, words: Sequence[str]) -> tuple[str, Sequence[str]]:
    """The app that a command is about, and its other arguments."""
    try:
        given = positional(command, words)
        takes = [one.name for one in command.params if isinstance(one, click.Argument)]
        if not given or takes[:1] not in (["app"], ["path"]):
            return "", given
        name = given[0].removeprefix("/").removesuffix(".git") if takes[0] == "path" else given[0]
        return str(AppName.parse(name)), given[1:]
    except (click.UsageError, PikuError):
        return "", ()  # what was not understood may be a secret


def _without_secrets(
    command: click.Command, app: str, rest: Sequence[str], words: Sequence[str]
) -> str:
    """The flags of a command, and those of its arguments that are surely no secret."""
    if command.name in _PLAIN:
        return " ".join(word for word in words if word != app)[:200]
    options = {option for one in command.params for option in one.opts}
    flags = [flag for word in words if (flag := word.partition("=")[0]) in options]
    if command.name == "config:set":
        kept = [f"{found[1]}=…" for word in rest if (found := _PAIR.fullmatch(word))]
    elif command.name == "config:unset":
        kept = [word for word in rest if word.isidentifier()]
    else:
        kept = []
    return " ".join((*flags, *kept))[:200]


def _append(paths: Paths, entry: Mapping[str, object], *, warns: bool = True) -> None:
    before, place = places(paths)
    if not paths.root.is_dir():
        return  # `setup` is about to make it
    line = f"{json.dumps(entry, ensure_ascii=True)}\n".encode()
    try:
        with locks.lock(paths.root / "audit.lock", "writing audit.log"):
            handle = os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with open(handle, "ab", buffering=0) as file:
                file.write(line)
                large = os.fstat(handle).st_size > SIZE
            if large:
                place.replace(before)
    except OSError as error:
        if warns:
            Output(sys.stderr).warn(f"this command is not on record: audit.log: {error.strerror}")
