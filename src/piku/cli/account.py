"""Whose apps these are. An installed server has an account for them, "piku": root's commands are done by it,
and nobody else's by mistake.

Files that root made there would stand in the way of the next push.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from pathlib import Path

from piku import client, programs
from piku.cli.common import own_command
from piku.errors import PikuError

NAME = "piku"
_ANYBODY = ("help", "update", "--help", "-h", "--version", *client.COMMANDS)
# What these are given is read by root: the account may not see into root's folders.
_READING = ("setup:ssh", "certs:add")


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
    command, *rest = words
    if command in _READING:
        rest = [
            programs.handed_on(Path(word).read_bytes()) if os.path.isfile(word) else word for word in rest
        ]
    variables = {"HOME": account.pw_dir, "USER": NAME, "LOGNAME": NAME, "SHELL": account.pw_shell}
    programs.become(
        ["setpriv", f"--reuid={NAME}", f"--regid={NAME}", "--init-groups", "--", *own_command(), command, *rest],
        cwd=Path(account.pw_dir), env=programs.environment() | variables,
    )  # fmt: skip
