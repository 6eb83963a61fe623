"""What nginx has to know: the server, an app's live release, and what changes without a deploy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from piku.app import settings
from piku.nginx.directives import Directive

_EVERY_IPV4 = "0.0.0.0"  # noqa: S104 (a web server)


def _every(address: str) -> str:
    """What stands for all addresses of the same kind."""
    return "[::]" if address.startswith("[") else _EVERY_IPV4


def host_names(names: Iterable[str]) -> tuple[str, ...]:
    """The hosts of names that may have a path, each once."""
    return tuple(dict.fromkeys(name.partition("/")[0] for name in names))


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Where nginx listens, and what the installed one can do.

    For a check, `check_dir` is a scratch folder: each address becomes a unix socket in it, so that
    an nginx that may not bind the real addresses, or cannot, can judge the configuration. `root` is
    piku's; `named` are the addresses that the platform and the sites beside it ask for.
    `connections` is what each of nginx's `workers` may have.
    """

    http_port: int = 80
    https_port: int = 443
    host: str = ""
    ipv6: bool = False
    named: tuple[str, ...] = ()
    check_dir: str = ""
    root: str = ""
    version: tuple[int, ...] = (1, 22, 1)
    modules: tuple[str, ...] = ()
    workers: int = 1
    connections: int = 1024

    def url(self, name: str, *, secure: bool) -> str:
        """The address under which a person reaches a host."""
        host, slash, path = name.partition("/")
        end = f"{self.port_suffix(secure=secure)}/{path}{slash}"
        return f"{'https' if secure else 'http'}://{host}{end}"

    def port_suffix(self, *, secure: bool) -> str:
        """What follows a host name in an address: nothing for the standard ports."""
        port, standard = (self.https_port, 443) if secure else (self.http_port, 80)
        return "" if port == standard else f":{port}"

    def addresses(self, site: Site | None) -> list[str]:
        """The addresses that a site (of none: the platform itself) asks for."""
        values = site.values if site else {}
        ipv4, ipv6 = settings.IPV4_ADDRESS.read(values), settings.IPV6_ADDRESS.read(values)
        found = [ipv4 or self.host or _EVERY_IPV4]
        if self.ipv6 and not settings.DISABLE_IPV6.read(values) and (ipv6 or not self.host):
            found.append(f"[{ipv6 or '::'}]")
        return found

    def listens(self, site: Site | None, port: int) -> list[str]:
        """The listen addresses of a site (of none: of the platform itself) for one port."""
        asked = self.addresses(site)
        # nginx knows only the servers of the exact address, where one of them names it: a site on
        # every address must name it as well.
        every = {each for each in asked if each in (_EVERY_IPV4, "[::]")}
        found = [*asked, *(one for one in self.named if _every(one) in every and one not in asked)]
        listens = [f"{address}:{port}" for address in found]
        if self.check_dir:
            return [f"unix:{self.check_dir}/{re.sub('[^0-9a-f]', '_', one)}" for one in listens]
        return listens

    @property
    def http3(self) -> bool:
        """Whether nginx speaks HTTP/3; a unix socket cannot."""
        return "http_v3_module" in self.modules and not self.check_dir


@dataclass(frozen=True, kw_only=True)
class Static:
    """A folder or file that nginx serves itself, under a prefix of addresses ("/", or without a
    slash at its end). `before` is the same of the release before: open pages may ask for it.

    No link below `base` (by default `path`) is followed but `links`. In a `plain` one there is no
    link, and nobody writes to it.
    """

    prefix: str
    path: str
    before: str = ""
    file: bool = False
    base: str = ""
    links: tuple[str, ...] = ()
    plain: bool = False


@dataclass(frozen=True, kw_only=True)
class Site:
    """What nginx must know of one live app; part of its live record.

    `values` are the settings that say how it is served; the paths in them were looked up when it
    was deployed.
    """

    app: str
    names: tuple[str, ...]
    redirect_from: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    serving: str = ""  # the process type that answers requests
    upstreams: tuple[str, ...] = ()  # where its processes listen; empty while none runs
    static: tuple[Static, ...] = ()
    clients: tuple[str, ...] = ()  # the addresses let in beside Cloudflare's
    include: str = ""  # a copy of NGINX_INCLUDE_FILE
    access_log: str = ""  # of what uWSGI does not log

    @property
    def backend(self) -> str:
        """How requests are passed on: "uwsgi" or "http"; empty when nothing answers them."""
        if not self.upstreams:
            return ""
        return "uwsgi" if self.upstreams[0].startswith("unix:") else "http"

    @property
    def stopped(self) -> bool:
        """Whether there would be a backend, but none of its processes runs."""
        return bool(self.serving) and not self.upstreams

    @property
    def https_only(self) -> bool:
        return settings.HTTPS_ONLY.read(self.values)

    @property
    def all_names(self) -> tuple[str, ...]:
        """Every host name that the app's certificate is for."""
        return host_names((*self.names, *self.redirect_from))


@dataclass(frozen=True, kw_only=True)
class Additions:
    """What an extra adds to an app's configuration (hook `nginx`): directives beside its servers,
    in its upstream, where requests are passed to the app, and in its server; headers of all its
    answers; files shown for errors, by status. `servers`: where the app's processes are now, in
    place of what the site says. `closed`: nothing else answers in the server. `listen`: where its
    server is reached besides. `fronts`: other servers, by names not its own."""

    http: tuple[Directive, ...] = ()
    upstream: tuple[Directive, ...] = ()
    servers: tuple[Directive, ...] = ()
    proxy: tuple[Directive, ...] = ()
    server: tuple[Directive, ...] = ()
    headers: tuple[Directive, ...] = ()
    pages: Mapping[int, str] = field(default_factory=dict)
    closed: bool = False
    listen: tuple[Directive, ...] = ()
    fronts: Mapping[str, tuple[Directive, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SiteState:
    """What a site's configuration depends on besides its release, and changes without a deploy."""

    certificate: str  # a file with chain and key
    cloudflare: tuple[str, ...] = ()  # the networks let in, if not all
    additions: tuple[Additions, ...] = ()

    @property
    def pages(self) -> dict[int, str]:
        """The file shown for each error; later extras win."""
        return {status: file for each in self.additions for status, file in each.pages.items()}
