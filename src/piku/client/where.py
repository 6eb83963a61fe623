"""Which piku is meant: the one of this machine, or one that is reached over ssh (docs/client.md)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from piku.client import address, spawn, ssh
from piku.client.address import Address, Target
from piku.errors import PikuError

REMOTE = "piku"
_KEYS = r"^(remote\..*\.(push)?url|url\..*\.(push)?insteadof|core\.sshcommand)$"
_WAYS = "say which one: piku -r user@server:app …, PIKU_SERVER=user@server, or `git remote add piku user@server:app`"
_ACCOUNT = "piku"  # who owns the apps of a server that was installed from the package

Config = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The words of a call: what stands before the command, and the command with all after it."""

    remote: str | None
    app: str | None
    words: list[str]


def read(arguments: Sequence[str]) -> Asked:
    """Split a call; raises PikuError for an option without its value."""
    found: dict[str, str | None] = {"r": None, "a": None}
    words = list(arguments)
    while words and (match := _option(words[0])):
        name, value = match
        del words[0]
        if value is None and not words:
            raise PikuError(f"-{name} needs a value", hint="see: piku help", code=2)
        found[name] = words.pop(0) if value is None else value
    return Asked(remote=found["r"], app=found["a"], words=words)


def _option(word: str) -> tuple[str, str | None] | None:
    for name, long in (("r", "--remote"), ("a", "--app")):
        if word in (f"-{name}", long):
            return name, None
        if word.startswith(f"{long}="):
            return name, word[len(long) + 1 :]
        if word.startswith(f"-{name}") and not word.startswith("--"):
            return name, word[2:].removeprefix("=")
    return None


def find(asked: Asked, environ: Mapping[str, str]) -> Target | None:
    """The server that a call means, None for this machine. What is said outright counts first: `-r`, then
    PIKU_SERVER, then PIKU_ROOT. Raises PikuError when two are as likely, and when there is none."""
    server = environ.get("PIKU_SERVER")
    if asked.remote is not None or server:
        return explicit(asked, environ)
    if environ.get("PIKU_ROOT") or _is_within(os.getcwd(), _root(environ)):
        return None
    config = git_config() if _is_checkout(environ) else ()
    if not address.push_address(config, REMOTE):
        if has_server(environ):
            return None
        raise _nowhere(config, environ)
    if _serves_caller(environ):
        own = f", or with PIKU_ROOT={_root(environ)}" if _has_apps(_root(environ)) else ""
        raise PikuError(
            f"this machine is a piku server, and this checkout has a remote {REMOTE!r}: which one is meant?",
            hint=f"that of the remote: piku -r {REMOTE} …\nthis machine: from another folder{own}",
            code=2,
        )
    return _of_remote(asked, config, REMOTE, environ)


def explicit(asked: Asked, environ: Mapping[str, str]) -> Target:
    """The server that `-r` or PIKU_SERVER names, else that of the checkout; raises PikuError when there is none."""
    config = git_config()
    if asked.remote is not None:
        if asked.remote in address.remotes(config):
            return _of_remote(asked, config, asked.remote, environ)
        if not set(asked.remote) & set(":@/"):
            names = ", ".join(address.remotes(config)) or "none"
            raise PikuError(
                f"there is no git remote {asked.remote[:60]!r} here",
                hint=f"there are: {names}; a server of ssh's configuration is meant by: -r {asked.remote[:60]}:app",
                code=2,
            )
        return _target(asked, config, address.parse(asked.remote, said="-r"), "", environ)
    if server := environ.get("PIKU_SERVER"):
        found = address.parse(server, said="PIKU_SERVER")
        return _target(asked, config, found, _same_server(config, found), environ)
    if not address.push_address(config, REMOTE):
        raise _nowhere(config, environ)
    return _of_remote(asked, config, REMOTE, environ)


def _of_remote(asked: Asked, config: Config, remote: str, environ: Mapping[str, str]) -> Target:
    url = address.push_address(config, remote)
    return _target(
        asked, config, address.parse(url, said=f"the git remote {remote!r}"), remote, environ
    )


def _same_server(config: Config, server: Address) -> str:
    """The remote, if it leads to that server: what PIKU_SERVER names has an app of this checkout then."""
    url = address.push_address(config, REMOTE)
    try:
        return REMOTE if url and address.parse(url).server == server.server else ""
    except PikuError:
        return ""


def _target(
    asked: Asked, config: Config, found: Address, remote: str, environ: Mapping[str, str]
) -> Target:
    by_remote = address.parse(address.push_address(config, remote)).app if remote else ""
    said = asked.app if asked.app is not None else environ.get("PIKU_APP")
    app = (found.app or by_remote) if said is None else said
    return Target(address=found, app=app, remote=remote, ssh=ssh.program(config, environ))


def _nowhere(config: Config, environ: Mapping[str, str]) -> PikuError:
    if not _is_checkout(environ):
        return PikuError(
            "this is no piku server, and no git repository that names one", hint=_WAYS, code=2
        )
    others = address.remotes(config)
    have = f" (it has: {', '.join(others)})" if others else ""
    return PikuError(f"this git repository has no remote {REMOTE!r}{have}", hint=_WAYS, code=2)


# --- this machine --------------------------------------------------------------------------------


def git_config() -> Config:
    """What git's configuration says here of remotes and of ssh; raises PikuError when git cannot say it."""
    code, said = spawn.output(["git", "config", "-z", "--get-regexp", _KEYS])
    if code not in (0, 1, 127):
        raise PikuError(
            "git cannot read its configuration here", hint="see: git config --list", code=2
        )
    entries = (entry.partition("\n") for entry in os.fsdecode(said).split("\0") if entry)
    return [(key, value) for key, _, value in entries]


def _is_checkout(environ: Mapping[str, str]) -> bool:
    """Whether this folder is in a git repository; git itself is only asked when it is."""
    if environ.get("GIT_DIR"):
        return True
    folder = os.getcwd()
    while not os.path.lexists(f"{folder}/.git"):
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    return True


def _root(environ: Mapping[str, str]) -> str:
    return environ.get("PIKU_ROOT") or os.path.join(os.path.expanduser("~"), ".piku")


def has_server(environ: Mapping[str, str]) -> bool:
    """Whether this machine has a piku of its own: the caller's, or the one of the package."""
    return _has_apps(_root(environ)) or _has_apps(_packaged())


def _serves_caller(environ: Mapping[str, str]) -> bool:
    """Whether a command without any more words could be for it: that of the package takes root's alone."""
    return _has_apps(_root(environ)) or (os.geteuid() == 0 and _has_apps(_packaged()))


def _has_apps(root: str) -> bool:
    return os.path.isdir(os.path.join(root, "repos"))


def _packaged() -> str:
    return os.path.join(os.path.expanduser(f"~{_ACCOUNT}"), ".piku")


def _is_within(folder: str, root: str) -> bool:
    root = os.path.realpath(root)
    return folder == root or folder.startswith(f"{root}/")
