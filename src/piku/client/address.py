"""The address of a server and an app, as git writes it (git-fetch(1), "GIT URLS")."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from piku.errors import PikuError

_URL = re.compile(
    r"(?:ssh|git\+ssh|ssh\+git)://(?:(?P<user>[^@/]*)@)?(?P<host>\[[^]/]+\]|[^:/@]+)(?::(?P<port>\d*))?(?P<path>/.*)?"
)
_SHORT = re.compile(r"(?:(?P<user>[^@/:\[]*)@)?(?P<host>\[[^]]+\]|[^:/@\[\]]+)(?::(?P<path>.*))?")
_APP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server is: `host` may be an alias of ssh's configuration, `port` is as text, and each of
    `user`, `port` and `app` is empty when it was not said."""

    host: str
    user: str = ""
    port: str = ""
    app: str = ""

    @property
    def destination(self) -> str:
        """What ssh is given; the port is an option."""
        return f"{self.user}@{self.host}" if self.user else self.host

    @property
    def server(self) -> str:
        """The server alone, as this module reads it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"ssh://{user}{host}:{self.port}" if self.port else f"{user}{host}"


@dataclass(frozen=True, kw_only=True)
class Target:
    """The server that is meant, the app unless it is unknown, and how it is reached.

    `remote` is the name of the git remote that said so, or empty; `ssh` the beginning of an argv.
    """

    address: Address
    app: str
    remote: str
    ssh: list[str]


def parse(text: str, *, said: str = "") -> Address:
    """Read `user@host:app`, `ssh://user@host:port/app`, or either without the app; `said` tells in an error
    where the text is from. Raises PikuError for what is no address that ssh reaches."""
    found = _URL.fullmatch(text) or (None if "://" in text else _SHORT.fullmatch(text))
    if found is None:
        raise _wrong(text, said)
    parts = {name: value or "" for name, value in found.groupdict().items()}
    if "://" in text and "%" in text:
        parts = {name: _decoded(value) for name, value in parts.items()}
    user, port = parts["user"], parts.get("port", "")
    host = parts["host"].removeprefix("[").removesuffix("]")
    if "://" not in text and parts["host"].startswith(
        "["
    ):  # [user@host:port]:app, which git takes as well
        user, host = host.rpartition("@")[::2] if "@" in host else (user, host)
        host, port = host.split(":") if host.count(":") == 1 else (host, port)
    app = parts["path"].removeprefix("/").removesuffix(".git")
    # ssh would take them for options, and run whatever one of those says.
    if (
        not host
        or host.startswith("-")
        or user.startswith("-")
        or (app and not _APP.fullmatch(app))
    ):
        raise _wrong(text, said)
    return Address(host=host, user=user, port=port, app=app)


def _decoded(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text)


def _wrong(text: str, said: str) -> PikuError:
    return PikuError(
        f"{f'{said}: ' if said else ''}{text[:80]!r} is not the address of an app on a piku server",
        hint="it looks like user@server:app, or ssh://user@server:2222/app",
        code=2,
    )


# --- what git's configuration says ---------------------------------------------------------------


def remotes(config: Sequence[tuple[str, str]]) -> list[str]:
    """The names of the remotes."""
    names = (key[7:].rpartition(".")[0] for key, _ in config if key.startswith("remote."))
    return list(dict.fromkeys(names))


def push_address(config: Sequence[tuple[str, str]], remote: str) -> str:
    """Where `git push REMOTE` would go, or nothing: as `git remote get-url --push` says it."""
    own: Mapping[str, list[str]] = {"pushurl": [], "url": []}
    for name, found in own.items():
        found += [value for key, value in config if key == f"remote.{remote}.{name}"]
    if own["pushurl"]:
        return _rewritten(config, own["pushurl"][0], "insteadof") or own["pushurl"][0]
    if not own["url"]:
        return ""
    url = own["url"][0]
    return _rewritten(config, url, "pushinsteadof") or _rewritten(config, url, "insteadof") or url


def _rewritten(config: Sequence[tuple[str, str]], url: str, rule: str) -> str:
    """The address with its beginning replaced by the longest rule that fits; nothing when none does."""
    bases = [
        (value, key[4 : -len(rule) - 1])
        for key, value in config
        if key.startswith("url.")
        and key.lower().endswith(f".{rule}")
        and value
        and url.startswith(value)
    ]
    if not bases:
        return ""
    beginning, base = max(bases, key=lambda pair: len(pair[0]))
    return base + url[len(beginning) :]
