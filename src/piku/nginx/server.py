"""What all apps share: the main configuration, the servers for unknown hosts, and common definitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from piku.app import settings
from piku.nginx.directives import Directive, Raw, block, d, location, render
from piku.nginx.site import Platform, Site

# Mozilla's "intermediate" list for TLS 1.2; those of TLS 1.3 need no choice.
_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
MIME_TYPES = "/etc/nginx/mime.types"
# Those that it lacks in one version or another; browsers run no module of another type.
_TYPES = {
    "mjs": "text/javascript",
    "webmanifest": "application/manifest+json",
    "avif": "image/avif",
}
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
    # The host that was asked for, with its port. A request may name one in its first line and another
    # in a header, which then does not count (RFC 9112, section 3.2.2): what chooses the app is also what
    # the app is told, and what an answer is kept for. Over HTTP/3 there may be no such header at all.
    asked = r'"~*^(?<piku_name>[^|]+)\|(?<piku_asked>\k<piku_name>\.?(?::[0-9]+)?)$"'
    host = block(
        "map",
        (Raw('"$host|$http_host"'), Raw("$piku_host")),
        [d("default", Raw("$host")), Directive(asked, (Raw("$piku_asked"),))],
    )
    # Nothing is sent upstream for an ordinary request, which keeps the connection to the app open; and an
    # upgrade to HTTP/2 would let what comes next pass unseen.
    upgrade = [
        block("map", (Raw("$http_upgrade"), Raw("$piku_upgrade")),
              [d("default", Raw("$http_upgrade")), d("~*h2c", "")]),
        block("map", (Raw("$piku_upgrade"), Raw("$piku_connection")), [d("default", "upgrade"), d('""', "")]),
    ]  # fmt: skip
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
    return render([host, *upgrade, peer, client, *limited, expires, *_log_formats()])


def _log_formats() -> list[Directive]:
    """The fields of the specification's "Log Formats", with the client as each kind of site knows it."""
    # nginx knows how long a request took in seconds, such as 0.034.
    milliseconds = block(
        "map", (Raw("$request_time"), Raw("$piku_milliseconds")),
        [d("default", 0), *(d(f'"~^{text}$"', Raw(value)) for text, value in _MILLISECONDS)],
    )  # fmt: skip
    forwarded = block(
        "map", (Raw("$http_x_forwarded_for"), Raw("$piku_forwarded")),
        [d('""', Raw("$remote_addr")), d("default", Raw("$http_x_forwarded_for"))],
    )  # fmt: skip
    clients = {"peer": "$remote_addr", "forwarded": "$piku_forwarded", "cloudflare": "$piku_client"}
    formats = [
        d("log_format", f"piku_{name}", Raw(f"'{client}{_LOG_FORMAT}'"))
        for name, client in clients.items()
    ]
    return [milliseconds, forwarded, *formats]


_MILLISECONDS = (
    (r"0\.00(\d)", "$1"), (r"0\.0(\d\d)", "$1"), (r"0\.(\d\d\d)", "$1"), (r"(\d+)\.(\d\d\d)", "$1$2"),
)  # fmt: skip
_LOG_FORMAT = (
    ' - $remote_user [$time_local] "$request_method $request_uri $server_protocol" $status $bytes_sent'
    ' "$http_referer" "$http_user_agent" ${piku_milliseconds}ms'
)


def default_config(sites: Iterable[Site], platform: Platform) -> str:
    """Servers for hosts that no app has: one per address that is listened on (an app's own address
    would otherwise answer for every host that comes in there)."""
    everywhere = [None, *sites]
    plain = sorted(
        {listen for site in everywhere for listen in platform.listens(site, platform.http_port)}
    )
    secure = sorted(
        {listen for site in everywhere for listen in platform.listens(site, platform.https_port)}
    )
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


def main_config(
    root: str, includes: Sequence[str], platform: Platform, *, check_only: str = ""
) -> str:
    """The main configuration of piku's own nginx; `check_only` names a scratch folder instead."""
    state = check_only or f"{root}/nginx"
    http = [
        *_http(state, platform),
        *_tls(platform),
        *_gzip(),
        *(d("include", path) for path in includes),
    ]
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


def _http(state: str, platform: Platform) -> list[Directive]:
    temporary = [
        d(f"{kind}_temp_path", f"{state}/temporary-{kind}")
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    ]
    lacking = [
        d(kind, extension) for extension, kind in _TYPES.items() if extension not in platform.typed
    ]
    return [
        *temporary,
        d("include", MIME_TYPES),
        *([block("types", (), lacking)] if lacking else []),
        d("default_type", "application/octet-stream"),
        d("charset", "utf-8"),
        d("access_log", "off"),
        d("server_tokens", "off"),
        d("server_names_hash_bucket_size", 512),  # a name may have 253 characters
        d("server_names_hash_max_size", 2048),
        d("variables_hash_bucket_size", 128),
        d("map_hash_bucket_size", 256),
        d("client_max_body_size", settings.MAX_BODY_SIZE.default),
        d("large_client_header_buffers", 8, "16k"),
        # The headers of an answer, with its cookies, must fit into one.
        *(d(f"{kind}_buffer_size", "16k") for kind in ("proxy", "uwsgi")),
        *(d(f"{kind}_buffers", 8, "16k") for kind in ("proxy", "uwsgi")),
        d("keepalive_timeout", "65s"),
    ]


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
