"""The address of a server and an app, as git writes it (git-fetch(1), "GIT URLS")."""

from __future__ import annotations

import re
from dataclasses import dataclass

from piku.errors import PikuError

_URL = re.compile(
    r"(?:ssh|git\+ssh|ssh\+git)://(?:(?P<user>[^@/%]+)@)?(?P<host>\[[^]/]+\]|[^:/@%]+)"
    r"(?::(?P<port>\d+))?(?:/(?P<app>.*))?"
)
_SHORT = re.compile(
    r"(?:(?P<user>[^@/:\[]+)@)?(?P<host>\[[^]]+\]|[^:/@\[\]]+)(?P<port>)(?::/?(?P<app>.*))?"
)
_APP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server is. `host` may be an alias of ssh's; the rest is empty when unknown."""

    host: str
    user: str = ""
    port: str = ""
    app: str = ""

    @property
    def login(self) -> str:
        """User and host, as scp takes them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.user}@{host}" if self.user else host

    @property
    def ssh(self) -> list[str]:
        """The arguments of ssh that name the server."""
        host = f"{self.user}@{self.host}" if self.user else self.host
        return [*(["-p", self.port] if self.port else []), host]

    @property
    def server(self) -> str:
        """The server alone, as an address that this module reads."""
        return f"ssh://{self.login}:{self.port}" if self.port else self.login

    def remote(self, app: str) -> str:
        """The address of this app for git."""
        return f"{self.server}/{app}" if self.port else f"{self.server}:{app}"


def parse(text: str, source: str = "") -> Address:
    """Read `user@host:app` or `ssh://user@host:port/app`, with or without the app.

    `source` says in an error where the text is from. Raises PikuError for what ssh cannot reach.
    """
    found = (_URL if "://" in text else _SHORT).fullmatch(text)
    parts = {name: value or "" for name, value in found.groupdict().items()} if found else {}
    host, user = parts.get("host", "").strip("[]"), parts.get("user", "")
    app = parts.get("app", "").removesuffix(".git")
    # ssh would take a leading "-" for an option, and some of those run programs.
    if not host or host[0] == "-" or user[:1] == "-" or (app and not _APP.fullmatch(app)):
        raise PikuError(
            f"{f'{source}: ' if source else ''}{text[:80]!r} is not an address of a server",
            hint="addresses look like user@server:app or ssh://user@server:2222/app",
            code=2,
        )
    return Address(host=host, user=user, port=parts["port"], app=app)
