"""What nginx has to know: the server, an app's live release, and what changes without a deploy."""

from __future__ import annotations

import re
from dataclasses import dataclass

from piku.app.procfile import UWSGI_SERVED
from piku.nginx.directives import Directive


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Where nginx listens, and what the installed one can do.

    For a check, `check_dir` is a scratch folder: each address becomes a unix socket in it, so that
    an nginx that may not bind the real addresses, or cannot, can judge the configuration. `acme` is
    the folder of the answers to certificate authorities.
    """

    http_port: int = 80
    https_port: int = 443
    host: str = ""
    ipv6: bool = False
    check_dir: str = ""
    acme: str = ""
    version: tuple[int, ...] = (1, 22, 1)
    modules: tuple[str, ...] = ()

    def url(self, name: str, *, secure: bool) -> str:
        """The address under which a person reaches a host."""
        return f"{'https' if secure else 'http'}://{name}{self.port_suffix(secure=secure)}/"

    def port_suffix(self, *, secure: bool) -> str:
        """What follows a host name in an address: nothing for the standard ports."""
        port, standard = (self.https_port, 443) if secure else (self.http_port, 80)
        return "" if port == standard else f":{port}"

    def listens(self, site: Site | None, port: int) -> list[str]:
        """The listen addresses of a site (of none: of the platform itself) for one port."""
        addresses = [(site.ipv4 if site else "") or self.host or "0.0.0.0"]  # noqa: S104
        if self.ipv6 and not (site and site.no_ipv6):
            if site and site.ipv6:
                addresses.append(f"[{site.ipv6}]")
            elif not self.host:
                addresses.append("[::]")
        found = [f"{address}:{port}" for address in addresses]
        if self.check_dir:
            return [f"unix:{self.check_dir}/{re.sub('[^0-9a-f]', '_', one)}" for one in found]
        return found

    @property
    def http3(self) -> bool:
        """Whether nginx speaks HTTP/3; a unix socket cannot."""
        return "http_v3_module" in self.modules and not self.check_dir


@dataclass(frozen=True, kw_only=True)
class Static:
    """A folder or file that nginx serves itself, under a prefix of addresses ("/", or without a
    slash at its end). `before` is the same of the release before: open pages may ask for it."""

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
    """What nginx must know of one live app; part of its live record."""

    app: str
    names: tuple[str, ...]
    redirect_from: tuple[str, ...] = ()
    serving: str = ""  # the process type that answers requests
    upstreams: tuple[str, ...] = ()  # where its processes listen; empty while none runs
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
    max_body: str = ""  # empty: that of all apps
    timeout: int = 60  # seconds
    error_pages: tuple[tuple[int, str], ...] = ()  # a status and the file shown for it
    include: str = ""
    access_log: str = ""  # of what uWSGI does not log
    forwarded: bool = False  # log the client that X-Forwarded-For names
    idle: int = 0  # seconds without a request until the app goes to sleep

    @property
    def backend(self) -> str:
        """How requests are passed on: "uwsgi" or "http"; empty when nothing answers them."""
        return "" if not self.upstreams else "uwsgi" if self.serving in UWSGI_SERVED else "http"

    @property
    def stopped(self) -> bool:
        """Whether there would be a backend, but none of its processes runs."""
        return bool(self.serving) and not self.upstreams

    @property
    def sleeps(self) -> int:
        """Seconds without a request until a `web` app is stopped; 0 for never."""
        return self.idle if self.backend == "http" else 0

    @property
    def certified(self) -> tuple[str, ...]:
        """Every name that the app's certificate is for."""
        return tuple(dict.fromkeys((*self.names, *self.redirect_from)))


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What an extra adds to an app's configuration (hook `nginx`): directives in its upstream,
    where requests are passed to the app, and in its servers. `closed`: nothing else answers
    there."""

    upstream: tuple[Directive, ...] = ()
    proxy: tuple[Directive, ...] = ()
    server: tuple[Directive, ...] = ()
    closed: bool = False


@dataclass(frozen=True, kw_only=True)
class SiteState:
    """What a site's configuration depends on besides its release, and changes without a deploy.

    `certificate` is a file with chain and key; `trusted` unless it is self-signed.
    """

    certificate: str
    trusted: bool = False
    cloudflare: tuple[str, ...] = ()  # Cloudflare's networks
    additions: tuple[Additions, ...] = ()
