"""Which server and app a call means (docs/client.md)."""

from __future__ import annotations

import getopt
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from piku.client import address
from piku.client.address import Address
from piku.errors import PikuError

REMOTE = "piku"
_WAYS = (
    "name one: piku -r user@server:app …, PIKU_SERVER=user@server,"
    " or `git remote add piku user@server:app`"
)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A call's options before the command, and the command with its words."""

    remote: str | None = None
    app: str | None = None
    words: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server, and the app there if it is known; `remote` is the git remote that named it."""

    address: Address
    app: str
    remote: str = ""


def read(arguments: Sequence[str]) -> Call:
    """Split a call; raises PikuError for an unknown option."""
    try:
        options, words = getopt.getopt(
            list(arguments), "hr:a:", ["help", "version", "remote=", "app="]
        )
    except getopt.GetoptError as error:
        raise PikuError(str(error), hint="see: piku help", code=2) from None
    given = dict(options)
    if given.keys() & {"-h", "--help"}:
        words = ["help", *words]
    elif "--version" in given:
        words = ["--version"]
    return Call(
        remote=given.get("-r", given.get("--remote")), app=given.get("-a", given.get("--app")),
        words=words or ["help"],
    )  # fmt: skip


def find(call: Call, environ: Mapping[str, str]) -> Target | None:
    """The server that a call means, None for this machine.

    The first of these counts: `-r`, PIKU_SERVER, PIKU_ROOT, the git remote `piku`, this machine.
    Raises PikuError when there is none, or a server has such a remote as well.
    """
    if call.remote is None and not environ.get("PIKU_SERVER"):
        if environ.get("PIKU_ROOT"):
            return None
        if not push_url(REMOTE):
            if _is_server("~/.piku") or _is_server("~piku/.piku"):
                return None
        elif _is_server("~/.piku") or (os.geteuid() == 0 and _is_server("~piku/.piku")):
            raise PikuError(
                f"this machine is a piku server, and this checkout has a remote {REMOTE!r}",
                hint=f"for the remote: piku -r {REMOTE} …\nfor this machine: set PIKU_ROOT\n"
                "if it is no server: rm -r ~/.piku",
                code=2,
            )
    return named(call, environ)


def named(call: Call, environ: Mapping[str, str]) -> Target:
    """The server that `-r`, PIKU_SERVER or the git remote names; raises PikuError without any."""
    remote, server = call.remote, environ.get("PIKU_SERVER")
    if remote is None and server:
        return _target(call, environ, address.parse(server, "PIKU_SERVER"))
    if url := push_url(remote or REMOTE):
        source = f"the git remote {remote or REMOTE!r}"
        return _target(call, environ, address.parse(url, source), remote or REMOTE)
    if remote is not None and set(remote) & set(":@/"):
        return _target(call, environ, address.parse(remote, "-r"))
    others = ", ".join(git("remote").split())
    have = f" (there are: {others})" if others else ""
    raise PikuError(f"there is no git remote {remote or REMOTE!r} here{have}", hint=_WAYS, code=2)


def _target(call: Call, environ: Mapping[str, str], found: Address, remote: str = "") -> Target:
    app = environ.get("PIKU_APP", found.app) if call.app is None else call.app
    return Target(address=found, app=app, remote=remote)


def push_url(remote: str) -> str:
    """Where `git push REMOTE` goes; nothing when there is no such remote."""
    return git("remote", "get-url", "--push", "--", remote)


def git(*words: str) -> str:
    """What git prints; nothing when it fails or is not installed."""
    argv = ["git", *words]
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        return ""
    return os.fsdecode(done.stdout).rstrip("\n") if done.returncode == 0 else ""


def _is_server(root: str) -> bool:
    return os.path.isdir(os.path.expanduser(f"{root}/repos"))
