"""The configuration that all apps share; the texts are in `piku/templates`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import resources

from piku.nginx.directives import Directive, Raw, block, d, location, quote, render
from piku.nginx.site import Platform, Site


def params(protocol: str) -> list[Directive]:
    """What an app sees of a request: the headers or uwsgi parameters that are the same for all."""
    lines = re.findall(r"(?m)^(\w+) (.+);$", _template(f"{protocol}.params"))
    return [Directive(name, (Raw(arguments),)) for name, arguments in lines]


def _template(name: str) -> str:
    return (resources.files("piku") / "templates" / name).read_text()


def main_config(root: str, include: str, platform: Platform) -> str:
    """The main configuration of piku's own nginx, or of a check in `platform.check_dir`."""
    state = platform.check_dir or f"{root}/nginx"
    values = {
        "workers": "1" if platform.check_dir else "auto",
        "state": state,
        "errors": "stderr" if platform.check_dir else f"{state}/error.log",
        "include": include,
    }
    modules = {"threads": d("aio", "threads"), "http_gzip_static_module": d("gzip_static", "on")}
    able = [directive for module, directive in modules.items() if module in platform.modules]
    return re.sub(
        r"@(\w+)@([\w./-]*)",
        lambda found: quote(values[found[1]] + found[2]),
        _template("nginx.conf").replace("@modules@", render(able, "    ")),
    )


def common_config(cloudflare: Iterable[str], platform: Platform) -> str:
    """What every app's server blocks rely on; `cloudflare` are the networks of Cloudflare."""
    networks = render((d(network, 1) for network in cloudflare), "    ")
    plain, secure = (quote(platform.port_suffix(secure=secure)) for secure in (False, True))
    text = _template("common.conf").replace("@networks@", networks)
    return text.replace("@http@", plain).replace("@https@", secure)


def challenge(platform: Platform) -> Directive:
    """The answers to certificate authorities (RFC 8555, section 8.3): for everybody, always."""
    body = [
        d("auth_basic", "off"),
        d("allow", "all"),
        d("default_type", "text/plain"),
        d("root", platform.acme),
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


def default_config(sites: Iterable[Site], platform: Platform) -> str:
    """Servers for unknown hosts, one for each address: an app's own address would otherwise answer
    for every host that comes in there."""
    everywhere = [None, *sites]

    def addresses(port: int) -> list[str]:
        return sorted({address for site in everywhere for address in platform.listens(site, port)})

    plain = [d("listen", each, "default_server") for each in addresses(platform.http_port)]
    nothing = location("/", [d("return", 444)])
    secure = secure_listens(addresses(platform.https_port), platform, "default_server")
    # A client may name an app's host in the handshake, and then ask for another one.
    refuse = [d("ssl_reject_handshake", "on"), d("return", 444)]
    # An app's names are proven before it is first live.
    return render(
        [
            block("server", (), [*plain, challenge(platform), nothing]),
            block("server", (), [*secure, *refuse]),
        ]
    )
