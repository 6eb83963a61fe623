"""The way of a call: to a server over ssh, or to the commands of this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from piku import client
from piku.client import where
from piku.client.address import Target
from piku.client.where import Asked
from piku.errors import PikuError

# They are about this machine, whatever remote a checkout has; only `-r` sends them elsewhere.
_HERE = ("setup", "up", "update", "scp", "housekeeping")
_CALLED = ("git-", "serve:")  # how the commands begin that only programs call, on the server itself
_RUNNING = ("run", "cron:run")  # whose exit codes are a program's own
_INTERRUPTED = (130, 143)  # by a signal, here or there
_FILES = ("setup:ssh", "certs:add")  # which take files of this machine
_HELP = ("help", "-h", "--help")


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments ask for; returns the exit code."""
    try:
        return _go(where.read(arguments), arguments)
    except PikuError as error:
        return _told(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _told(PikuError(f"{place}{error.strerror or error}"))


def _told(error: PikuError) -> int:
    from piku.output import Output

    Output(sys.stderr).error(error)
    return error.code


def _go(asked: Asked, arguments: Sequence[str]) -> int:
    command = asked.words[0] if asked.words else "help"
    here = command in _HERE or command.startswith(_CALLED) or asked.words == ["doctor", "--self"]
    if command in client.COMMANDS or command == "--version" or (here and asked.remote is None):
        return _execute(arguments)
    if command in _HELP and asked.words[1:] in ([], *([name] for name in client.COMMANDS)):
        return _help(asked, arguments)
    if command == "complete":  # what the shell asks for while somebody types
        from piku.client.completion import main as complete

        return complete(asked.words[1:])
    target = where.find(asked, os.environ)
    if target is None:
        return _execute(arguments)
    if os.path.isfile(plugin(command)) and os.access(plugin(command), os.X_OK):
        from piku.client import plugins

        plugins.run(target, asked.words)
    if command in _FILES:
        from piku.client import handed

        if (code := handed.over(target, asked.words)) is not None:
            return code
    return _sent(target, asked.words)


def _sent(target: Target, words: Sequence[str]) -> int:
    """Have the server do it; returns the exit code."""
    from piku.client import ssh

    terminal = _wants_terminal(words)
    code = ssh.run(target, words, terminal=terminal)
    if code == 127 and words[0] not in _RUNNING:
        raise PikuError(
            f"{target.address.destination} lets this key in, but not to piku",
            hint="let it in on the server: piku setup:ssh KEY.pub --name NAME; and take it out of the keys of a login",
        )
    if code in _INTERRUPTED and words[0] == "cron:run" and not terminal:
        raise PikuError(
            "a job does not end with its connection",
            hint="whether it still runs says: piku cron",
            code=code,
        )
    return code


def _execute(arguments: Sequence[str]) -> int:
    from piku.cli.main import execute

    return execute(arguments)


def _help(asked: Asked, arguments: Sequence[str]) -> int:
    """Help for a command of the client's own, or the list of all commands; it is there in any case."""
    if len(asked.words) > 1:
        return _execute(arguments)
    try:
        target: Target | None = where.find(asked, os.environ)
    except PikuError:
        target = None
    if target is None:
        return _execute(["help"])
    from piku.client import listing

    return listing.show(target)


def plugin(command: str) -> str:
    """The executable that a command of the laptop's owner would be."""
    folder = os.path.join(os.path.expanduser("~"), ".piku", "client-plugins")
    return os.path.join(folder, command.replace("/", ""))


def _wants_terminal(words: Sequence[str]) -> bool:
    """Whether a command has use for a terminal, and we are in one. Without, standard error stays apart, and
    what is piped through arrives as it was."""
    command, *rest = words
    before = rest[: rest.index("--")] if "--" in rest else rest
    wants = (
        command == "cron:run"
        or (command == "run" and "--detach" not in before[:2])
        or (command == "ps" and "--watch" in before)
        or (command == "destroy" and "--force" not in before)
    )
    return wants and os.isatty(0) and os.isatty(1)
