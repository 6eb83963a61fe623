"""What all apps share: the main configuration, the servers for unknown hosts, and common definitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from piku.app import settings
from piku.serve.nginx.directives import Directive, Raw, block, d, location, render
from piku.serve.nginx.site import Platform, Site

# Mozilla's "intermediate" list for TLS 1.2; those of TLS 1.3 need no choice.
_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
# Texts; what is compressed already gains nothing, and an event stream must not wait in a buffer.
_COMPRESSED = (
    "application/atom+xml", "application/javascript", "application/json", "application/ld+json",
    "application/manifest+json", "application/rss+xml", "application/wasm", "application/xml",
    "font/otf", "font/ttf", "image/bmp", "image/svg+xml", "image/x-icon", "text/css", "text/csv",
    "text/javascript", "text/markdown", "text/plain", "text/xml",
)  # fmt: skip


def challenge(platform: Platform) -> Directive:
    """The answers to certificate authorities (RFC 8555, section 8.3): for everybody, at any time."""
    body = [
        d("auth_basic", "off"),
        d("allow", "all"),
        d("default_type", "text/plain"),
        d("root", platform.acme),
        d("try_files", Raw("$uri"), Raw("=404")),
    ]
    return location("/.well-known/acme-challenge/", body, modifier="^~")


def secure_listens(addresses: Iterable[str], platform: Platform, *flags: str) -> list[Directive]:
    """The listening addresses for HTTPS, with HTTP/2 in the form that this nginx wants, and HTTP/3."""
    on = platform.version >= (1, 25, 1)
    http2 = "http_v2_module" in platform.modules
    out = []
    for address in addresses:
        out.append(d("listen", address, "ssl", *(("http2",) if http2 and not on else ()), *flags))
        if platform.http3:
            # Every worker needs its own socket; nginx wants that said once for an address.
            out.append(d("listen", address, "quic", *(("reuseport",) if flags else ()), *flags))
    if http2 and on:
        out.append(d("http2", "on"))
    return out


def common_config(cloudflare: Iterable[str]) -> str:
    """What every app's server blocks rely on; `cloudflare` are the networks of Cloudflare."""
    # Nothing is sent upstream for an ordinary request, which keeps the connection to the app open.
    upgrade = block(
        "map", (Raw("$http_upgrade"), Raw("$piku_connection")), [d("default", "upgrade"), d('""', "")]
    )
    networks = [d(network, 1) for network in cloudflare]
    # Only Cloudflare itself is believed when it says whom it asks for.
    peer = block("geo", (Raw("$piku_cloudflare"),), [d("default", 0), *networks])
    client = block(
        "map",
        (Raw('"$piku_cloudflare$http_cf_connecting_ip"'), Raw("$piku_client")),
        [
            d("default", Raw("$remote_addr")),
            d('"~^1(?<piku_connecting_ip>[0-9A-Fa-f.:]{2,45})$"', Raw("$piku_connecting_ip")),
        ],
    )
    # A certificate authority asks often, from few addresses.
    limited = [
        block("map", (Raw("$uri"), Raw(variable)),
              [d("default", Raw(key)), d("~^/\\.well-known/acme-challenge/", "")])
        for variable, key in (("$piku_limited", "$binary_remote_addr"), ("$piku_limited_client", "$piku_client"))
    ]  # fmt: skip
    # A file with a hash in its name never changes; any other is asked for again, and mostly unchanged.
    named = r'"~[.-](?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}\.[a-z0-9.]+$"'
    expires = block("map", (Raw("$uri"), Raw("$piku_expires")), [d("default", -1), d(named, "1y")])
    return render([upgrade, peer, client, *limited, expires])


def default_config(sites: Iterable[Site], platform: Platform) -> str:
    """Servers for hosts that no app has: one per address that is listened on (an app's own address
    would otherwise answer for every host that comes in there)."""
    everywhere = [None, *sites]
    plain = sorted({listen for site in everywhere for listen in platform.listens(site, platform.http_port)})
    secure = sorted({listen for site in everywhere for listen in platform.listens(site, platform.https_port)})
    nothing = location("/", [d("return", 444)])
    return render(
        [
            # An app's names are proven before it is first live.
            block("server", (), [
                *(d("listen", x, "default_server") for x in plain), challenge(platform), nothing
            ]),
            block("server", (), [
                *secure_listens(secure, platform, "default_server"),
                d("ssl_reject_handshake", "on"),
                # A client may name an app's host when it connects, and ask for another one.
                d("return", 444),
            ]),
        ]
    )  # fmt: skip


def main_config(root: str, includes: Sequence[str], platform: Platform, *, check_only: str = "") -> str:
    """The main configuration of piku's own nginx; `check_only` names a scratch folder instead."""
    state = check_only or f"{root}/nginx"
    http = [*_http(state), *_tls(platform), *_gzip(), *(d("include", path) for path in includes)]
    return render(
        [
            d("worker_processes", 1 if check_only else "auto"),
            d("worker_shutdown_timeout", "10m"),
            d("pid", f"{state}/nginx.pid"),
            d("error_log", "stderr" if check_only else f"{state}/error.log", "error"),
            block("events", (), [d("worker_connections", 1024)]),
            block("http", (), http),
        ]
    )


def _http(state: str) -> list[Directive]:
    temporary = [
        d(f"{kind}_temp_path", f"{state}/temporary-{kind}")
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    ]
    return [
        *temporary,
        d("include", "/etc/nginx/mime.types"),
        # Browsers run no module of another type, and the file above may be older than these.
        block("types", (), [
            d("text/javascript", "mjs"), d("application/manifest+json", "webmanifest"), d("image/avif", "avif")
        ]),
        d("default_type", "application/octet-stream"),
        d("charset", "utf-8"),
        d("access_log", "off"),
        d("server_tokens", "off"),
        d("server_names_hash_bucket_size", 256),
        d("server_names_hash_max_size", 2048),
        d("variables_hash_bucket_size", 128),
        d("map_hash_bucket_size", 256),
        d("client_max_body_size", settings.MAX_BODY_SIZE.default),
        d("large_client_header_buffers", 8, "16k"),
        d("keepalive_timeout", "65s"),
    ]  # fmt: skip


def _tls(platform: Platform) -> list[Directive]:
    # From 1.23.2 on nginx renews the keys of tickets by itself; one that never does would let whoever
    # reads it later decrypt what was sent before.
    tickets = "on" if platform.version >= (1, 23, 2) else "off"
    return [
        d("ssl_protocols", "TLSv1.2", "TLSv1.3"),
        d("ssl_ciphers", _CIPHERS),
        d("ssl_prefer_server_ciphers", "off"),
        d("ssl_session_cache", "shared:piku:1m"),
        d("ssl_session_timeout", "1d"),
        d("ssl_session_tickets", tickets),
    ]


def _gzip() -> list[Directive]:
    return [
        d("gzip", "on"),
        d("gzip_vary", "on"),
        d("gzip_proxied", "any"),
        d("gzip_comp_level", 5),
        d("gzip_min_length", 1024),
        d("gzip_types", *_COMPRESSED),
    ]
