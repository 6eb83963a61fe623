"""What nginx has to know: of the server, of an app's live activation, and of what comes beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Where nginx listens, and what the installed one can do.

    `harmless` maps each address to a unix socket in that folder instead, so that a candidate can be
    checked by an nginx that may not, or cannot, bind the real ones. `acme` is the folder with the
    answers to certificate authorities, `typed` the extensions that nginx knows a type for.
    """

    http_port: int = 80
    https_port: int = 443
    host: str = ""
    ipv6: bool = False
    harmless: str = ""
    acme: str = ""
    version: tuple[int, ...] = (1, 22, 1)
    modules: tuple[str, ...] = ()
    typed: tuple[str, ...] = ()

    def url(self, name: str, *, secure: bool) -> str:
        """The address under which a person reaches a host."""
        return f"{'https' if secure else 'http'}://{name}{self.port_suffix(secure=secure)}/"

    def port_suffix(self, *, secure: bool) -> str:
        """What follows a host name in an address: nothing for the standard ports."""
        port, standard = (self.https_port, 443) if secure else (self.http_port, 80)
        return "" if port == standard else f":{port}"

    def listens(self, site: Site | None, port: int) -> list[str]:
        """The listen addresses of a site (of none: of the platform itself) for one port."""
        addresses = [(site.ipv4 if site else "") or self.host or "0.0.0.0"]  # noqa: S104 (a web server)
        if self.ipv6 and not (site and site.no_ipv6):
            if site and site.ipv6:
                addresses.append(f"[{site.ipv6}]")
            elif not self.host:
                addresses.append("[::]")
        found = [f"{address}:{port}" for address in addresses]
        if self.harmless:
            return [
                f"unix:{self.harmless}/{re.sub(r'[^0-9a-f]', '_', address)}" for address in found
            ]
        return found

    @property
    def http3(self) -> bool:
        """Whether nginx speaks HTTP/3; a unix socket cannot."""
        return "http_v3_module" in self.modules and not self.harmless


@dataclass(frozen=True, kw_only=True)
class Static:
    """A folder or file that nginx serves itself, under a prefix of addresses ("/" or without a slash at
    its end). `before` is the same of the release before: pages that are still open may ask for it."""

    prefix: str
    path: str
    before: str = ""
    file: bool = False


@dataclass(frozen=True, kw_only=True)
class Cache:
    """The answers that nginx keeps: times in seconds, the size in gigabytes."""

    prefixes: tuple[str, ...]
    path: str
    size: int = 1
    content: int = 3600
    control: int = 3600
    redirects: int = 3600
    other: int = 3600
    expiry: int = 86400


@dataclass(frozen=True, kw_only=True)
class Site:
    """What nginx must know of one live app; stored with its activation."""

    app: str
    names: tuple[str, ...]
    redirect_from: tuple[str, ...] = ()
    backend: str = ""  # "uwsgi", "http", or nothing to pass requests to
    stopped: bool = False  # there would be something, but it does not run
    modifier: int = 0  # which of uWSGI's plugins answers
    upstreams: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()  # where the next release is going to be, after this configuration
    static: tuple[Static, ...] = ()
    catch_all: str = ""
    hidden: tuple[str, ...] = ()
    cache: Cache | None = None
    https_only: bool = False
    hsts: str = ""
    ipv4: str = ""
    ipv6: str = ""
    no_ipv6: bool = False
    allow_git: bool = False
    cloudflare: bool = False
    clients: tuple[str, ...] = ()  # the addresses let in beside Cloudflare's
    passwords: str = ""  # a file of users and hashes
    rate: str = ""
    burst: int = 0
    max_body: str = ""  # that of all apps
    timeout: int = 60  # seconds
    error_pages: tuple[tuple[int, str], ...] = ()  # a status and the file shown for it
    include: str = ""
    access_log: str = ""  # for what uWSGI does not log
    forwarded: bool = False  # log the client that X-Forwarded-For names
    idle: int = 0  # seconds without a request until a `web` app is stopped
    naps: bool = (
        False  # uWSGI ends it when nobody asks, and may break off who asks at that very moment
    )

    @property
    def certified(self) -> tuple[str, ...]:
        """Every name that the app's certificate is for."""
        return tuple(dict.fromkeys((*self.names, *self.redirect_from)))


@dataclass(frozen=True, kw_only=True)
class Around:
    """What a site's configuration depends on beside its activation, and changes without a deploy.

    `certificate` is a file with chain and key; `trusted` whether it is not self-signed. While
    `maintenance` is given, the app answers 503 with that page; `retry_after` is in seconds.
    """

    certificate: str
    trusted: bool = False
    maintenance: str = ""
    retry_after: int = 300
    cloudflare: tuple[str, ...] = ()  # Cloudflare's networks
    waker: str = ""  # the socket where a sleeping app is woken
