"""Runs commands on the server with the ssh that git uses (git(1), GIT_SSH)."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from piku.client.target import Target, git
from piku.errors import PikuError

_PATIENCE = 15  # seconds until a server that does not answer counts as unreachable


def program() -> list[str]:
    """The beginning of an argv. GIT_SSH_COMMAND and core.sshCommand are a shell's command lines."""
    line = (os.environ.get("GIT_SSH_COMMAND") or git("config", "core.sshCommand")).strip()
    if not line:
        return [os.environ.get("GIT_SSH") or "ssh"]
    # Where it can be, the shell becomes ssh: a signal for us is for ssh then.
    compound = set(line) & set("|&;(){}\n") or "=" in line.split()[0] or line.startswith("exec ")
    return ["sh", "-c", f'{"" if compound else "exec "}{line} "$@"', "ssh"]


def _argv(target: Target, words: Sequence[str], *, terminal: bool) -> list[str]:
    """The whole command. The server splits what it gets as a shell would, and runs no shell."""
    app = ["--app", target.app] if target.app else []
    # Without the option, ssh tells at the end of every command that the connection is closed.
    kind = ["-t", "-o", "LogLevel=ERROR"] if terminal else ["-T"]
    patience = ["-o", f"ConnectTimeout={_PATIENCE}"]
    command = shlex.join(["piku", *app, *words])
    return [*program(), *kind, *patience, *target.address.ssh, command]


def become(target: Target, words: Sequence[str], *, terminal: bool = False) -> NoReturn:
    """Replace this process by ssh with that command; its input, output and exit code are ours."""
    has_terminal = terminal and all(os.isatty(number) for number in (0, 1, 2))
    exec_argv(_argv(target, words, terminal=has_terminal))


def output(target: Target, words: Sequence[str]) -> str:
    """What a command there prints; raises PikuError when it fails, which it has shown itself."""
    argv = _argv(target, words, terminal=False)
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    except OSError as error:
        raise _not_run(argv[0], error) from None
    if done.returncode:
        failure = PikuError(f"{argv[0]} failed", code=done.returncode)
        failure.shown = True
        raise failure
    return os.fsdecode(done.stdout)


def exec_argv(argv: Sequence[str], env: Mapping[str, str] | None = None) -> NoReturn:
    """Replace this process by a program."""
    sys.stdout.flush()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and that would be inherited
    try:
        os.execvpe(argv[0], list(argv), env or os.environ)
    except OSError as error:
        raise _not_run(argv[0], error) from None


def _not_run(name: str, error: OSError) -> PikuError:
    return PikuError(f"cannot run the program {name!r}: {error.strerror}")
