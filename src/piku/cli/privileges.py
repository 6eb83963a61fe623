"""Whose apps these are. An installed server has an account for them, "piku": root's commands are done by it,
and nobody else's by mistake.

Files that root made there would stand in the way of the next push.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

from piku import client, subprocesses
from piku.cli.common import own_command
from piku.client import app_argument
from piku.errors import PikuError

NAME = "piku"
_ANYBODY = ("help", "update", "--help", "-h", "--version", *client.COMMANDS)
# The files that these are given are read by root: the account may not see into root's folders. Each with
# its module, and how many of its arguments come before them.
_READING = {"setup:ssh": ("cli.keys", 0), "certs:add": ("extras.certs.commands", 1)}
# What else root has in its environment is root's own: apps can read that of every process of the account.
_PASSED_ON = (
    "TERM",
    "NO_COLOR",
    "COLUMNS",
    "LINES",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "SSH_CLIENT",
)


def settle(words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Return if the caller may do this as the one who calls. Root's command starts anew as the account;
    raises PikuError for somebody who has no apps here while the account has."""
    if environ.get("PIKU_ROOT") or not words or words[0] in _ANYBODY:
        return
    if os.geteuid() == 0:
        if account := _account():
            _become(account, words)
    elif not Path(environ.get("HOME") or "/", ".piku").exists():
        account = _account()
        if account and account.pw_uid != os.geteuid() and Path(account.pw_dir, ".piku").is_dir():
            raise PikuError(
                f"the apps of this server belong to the user {NAME!r}",
                hint=f"use: sudo piku {words[0]} … or, with a key that was let in: ssh {NAME}@localhost {words[0]} …",
            )


def _account() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        return None


def _become(account: pwd.struct_passwd, words: Sequence[str]) -> None:
    """Do the command as the account, on a terminal of its own or on none: whoever shares root's could type
    into it, and so could every app."""
    command = [*own_command(), *_handed_on(words)]
    variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    variables |= {
        "PATH": subprocesses.SYSTEM_PATH,
        "HOME": account.pw_dir,
        "USER": NAME,
        "LOGNAME": NAME,
    }
    variables |= {"SHELL": account.pw_shell}
    home = Path(account.pw_dir)
    if all(os.isatty(number) for number in (0, 1, 2)):
        subprocesses.exec_program(
            ["runuser", f"--user={NAME}", "--pty", "--", *command], cwd=home, env=variables
        )
    user = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]
    sys.exit(
        subprocesses.run_in_new_session(["setpriv", *user, "--", *command], cwd=home, env=variables)
    )


def _handed_on(words: Sequence[str]) -> list[str]:
    """The words, with files that root has to read replaced by what the account can."""
    name, *rest = words
    if name in _READING:
        module, before = _READING[name]
        command = getattr(import_module(f"piku.{module}"), name.replace(":", "_"))
        for place in list(app_argument.arguments(command, rest))[before:]:
            if os.path.isfile(rest[place]):
                rest[place] = subprocesses.memfd_path(Path(rest[place]).read_bytes())
    return [name, *rest]
