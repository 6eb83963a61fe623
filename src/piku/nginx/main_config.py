"""The configuration that all apps share; the texts are in `piku/templates`."""

import re
from collections.abc import Iterable

from piku import files
from piku.nginx.directives import Directive, Raw, d, location, quote, render
from piku.nginx.site import Platform, Site
from piku.paths import TEMPLATES, Paths


def _filled(name: str, **values: str | Iterable[Directive]) -> str:
    """A template of ours with its words between @ filled in."""

    def fill(found: re.Match[str]) -> str:
        value = values[found[1]]
        return quote(value + found[2]) if isinstance(value, str) else render(value, "    ")

    return re.sub(r"@(\w+)@([\w./-]*)", fill, (TEMPLATES / name).read_text())


def params(protocol: str, forwarded: str) -> list[Directive]:
    """What an app sees of a request, as headers or parameters; `forwarded` is X-Forwarded-For."""
    text = (TEMPLATES / f"{protocol}.params").read_text().replace("@for@", forwarded)
    lines = re.findall(r"(?m)^(\w+) (.+);$", text)
    return [Directive(name, (Raw(arguments),)) for name, arguments in lines]


def main_config(platform: Platform) -> str:
    """The main configuration of piku's own nginx, or of a check in `platform.check_dir`."""
    checks, state = bool(platform.check_dir), platform.check_dir or f"{platform.root}/nginx"
    modules = {"threads": d("aio", "threads"), "http_gzip_static_module": d("gzip_static", "on")}
    return _filled(
        "nginx.conf",
        workers="1" if checks else str(platform.workers),
        connections=str(platform.connections),
        state=state,
        errors="stderr" if checks else f"{state}/error.log",
        modules=[modules[name] for name in modules if name in platform.modules],
    )


def cloudflare_networks(paths: Paths) -> tuple[str, ...]:
    """Cloudflare's networks: as last fetched from its API, or those that come with piku."""
    shipped = TEMPLATES / "cloudflare.txt"
    return tuple((files.read(paths.cloudflare) or shipped.read_text()).split())


def common_config(cloudflare: Iterable[str], platform: Platform) -> str:
    """What every app's server blocks rely on; `cloudflare` are the networks of Cloudflare."""
    return _filled(
        "common.conf",
        networks=[d(network, 1) for network in cloudflare],
        share=str(platform.connections * platform.workers // 4),
        http=platform.port_suffix(secure=False),
        https=platform.port_suffix(secure=True),
    )


def default_config(sites: Iterable[Site], platform: Platform) -> str:
    """The servers for unknown hosts, on every address of these sites and of the platform."""
    everywhere = [None, *sites]

    def addresses(port: int) -> list[str]:
        return sorted({address for site in everywhere for address in platform.listens(site, port)})

    plain = [d("listen", each, "default_server") for each in addresses(platform.http_port)]
    return _filled(
        "default.conf",
        plain=[*plain, challenge(platform)],
        secure=secure_listens(addresses(platform.https_port), platform, "default_server"),
    )


def challenge(platform: Platform) -> Directive:
    """The answers to certificate authorities (RFC 8555, 8.3): no access rule blocks them."""
    body = [
        d("auth_basic", "off"),
        d("allow", "all"),
        d("default_type", "text/plain"),
        d("root", f"{platform.root}/acme"),
        d("try_files", Raw("$uri"), Raw("=404")),
    ]
    return location("/.well-known/acme-challenge/", body, modifier="^~")


def secure_listens(addresses: Iterable[str], platform: Platform, *flags: str) -> list[Directive]:
    """The listen directives for HTTPS, with HTTP/2 as this version writes it, and HTTP/3."""
    http2 = "http_v2_module" in platform.modules
    own_directive = platform.version >= (1, 25, 1)
    old = ("http2",) if http2 and not own_directive else ()
    out = []
    for address in addresses:
        out.append(d("listen", address, "ssl", *old, *flags))
        if platform.http3:
            # Every worker needs a socket of its own; nginx wants that once for an address.
            out.append(d("listen", address, "quic", *(("reuseport",) if flags else ()), *flags))
    return [*out, d("http2", "on")] if http2 and own_directive else out
