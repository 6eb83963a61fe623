"""What of an app's server hands requests on to the app, wakes it, and keeps its answers."""

from __future__ import annotations

import hashlib
from pathlib import PurePath

from piku.nginx.directives import Directive, Raw, block, d, location
from piku.nginx.site import Cache, Site

WAKE, AWAKE = "@piku-wake", "@piku-awake"


# --- kept answers --------------------------------------------------------------------------------


def _keeping(site: Site, cache: Cache) -> list[Directive]:
    begin = protocol(site)
    times = [
        (200, cache.content),
        (301, 302, 307, 308, cache.redirects),
        # What failed for a moment must not fail for an hour.
        (408, 425, 429, 500, 502, 503, 504, 0),
        ("any", cache.other),
    ]
    alone = Raw("$http_authorization")
    return [
        d(f"{begin}_cache", Raw(zone_variable(site))),
        d(f"{begin}_cache_key", Raw("$scheme$request_method$piku_host$request_uri")),
        *(d(f"{begin}_cache_valid", *codes, f"{seconds}s") for *codes, seconds in times),
        d(f"{begin}_cache_bypass", alone),
        d(f"{begin}_no_cache", alone),
        d(f"{begin}_cache_lock", "on"),
        d(f"{begin}_cache_background_update", "on"),
        d(f"{begin}_cache_use_stale", "error", "timeout", "updating", "http_500", "http_503"),
        d("expires", Raw(expires_variable(site))),
    ]


def cache_zone(site: Site, cache: Cache) -> str:
    """The cache's name; nginx refuses to reload when the same name gets another path or protocol."""
    place = hashlib.sha256(f"{cache.path} {site.backend}".encode()).hexdigest()[:8]
    return f"piku_{site.app}_{place}"


def zone_variable(site: Site) -> str:
    """What says whether a request's answer may be kept: the cache's name, or "off"."""
    return f"$piku_cache_{identifier(site)}"


def expires_variable(site: Site) -> str:
    return f"$piku_kept_{identifier(site)}"


def identifier(site: Site) -> str:
    """The app's name as a part of a variable's."""
    return hashlib.sha256(site.app.encode()).hexdigest()[:12]


# --- the app -------------------------------------------------------------------------------------


def upstream(site: Site) -> str:
    # To nginx, upstreams whose names differ in case alone are the same.
    name = site.app
    return f"piku_{name}" if name == name.lower() else f"piku-{name}-{identifier(site)}"


def protocol(site: Site) -> str:
    """How nginx's directives for the app begin."""
    return "uwsgi" if site.backend == "uwsgi" else "proxy"


def to_app(site: Site, *, wakes: bool = True) -> list[Directive]:
    """What hands a request on; `wakes` says whether one that meets nobody has the app woken."""
    keeping = _keeping(site, site.cache) if site.cache is not None else []
    client = "$piku_client" if site.cloudflare else "$remote_addr"
    # A request that an app is slow with is not asked for once more from the next process.
    once = d(f"{protocol(site)}_next_upstream", "error")
    if site.backend == "uwsgi":
        params = [d("uwsgi_param", name, Raw(value)) for name, value in _UWSGI_PARAMS]
        params += [
            d("uwsgi_param", name, Raw(client)) for name in ("REMOTE_ADDR", "HTTP_X_REAL_IP")
        ]
        secure = d("uwsgi_param", "HTTPS", Raw("$https"), "if_not_empty")
        modifier = [d("uwsgi_modifier1", site.modifier)] if site.modifier else []
        return [d("uwsgi_pass", upstream(site)), once, *modifier, *params, secure, *keeping]
    headers = [d("proxy_set_header", name, Raw(value)) for name, value in _PROXY_HEADERS]
    headers.append(d("proxy_set_header", "X-Real-IP", Raw(client)))
    begin = [d("proxy_pass", f"http://{upstream(site)}"), d("proxy_http_version", "1.1"), once]
    return [*begin, *headers, *keeping, *(_wakes(site) if site.idle and wakes else ())]


def _wakes(site: Site) -> list[Directive]:
    """Nobody listens while the app sleeps: have it woken, and then ask again."""
    pages = [
        (status, error_address(status, file)) for status, file in site.error_pages if status != 502
    ]
    return [
        d("error_page", 502, Raw("="), WAKE),
        *(d("error_page", *page) for page in pages),
        # What does not come of sleep has the app's own page for it.
        d("recursive_error_pages", "on"),
    ]


def waking(site: Site, waker: str) -> list[Directive]:
    """Where a request goes that met nobody, and where it goes on once the app listens."""
    # An app that is awake and breaks off is no sleeping one: it may have done already what it was asked for.
    sent = (Raw("($upstream_bytes_sent"), Raw("~"), Raw('"[1-9]")'))
    body = [
        block("if", sent, [d("return", 502)]),
        d("uwsgi_pass", f"unix:{waker}"),
        d("uwsgi_pass_request_body", "off"),
        d("uwsgi_param", "PIKU_APP", site.app),
        d("uwsgi_param", "REQUEST_METHOD", Raw("$request_method")),
        d("uwsgi_param", "SERVER_PROTOCOL", Raw("$server_protocol")),
        d("uwsgi_read_timeout", "75s"),
    ]
    return [location(WAKE, body), location(AWAKE, to_app(site, wakes=False))]


def error_address(status: int, file: str) -> str:
    """The address under which an error's page is found inside nginx."""
    return f"/@piku-{status}{PurePath(file).suffix}"


_UWSGI_PARAMS = (
    ("QUERY_STRING", "$query_string"),
    ("REQUEST_METHOD", "$request_method"),
    ("CONTENT_TYPE", "$content_type"),
    ("CONTENT_LENGTH", "$content_length"),
    ("REQUEST_URI", "$request_uri"),
    ("PATH_INFO", "$document_uri"),
    ("DOCUMENT_ROOT", "$document_root"),
    ("SERVER_PROTOCOL", "$server_protocol"),
    ("REQUEST_SCHEME", "$scheme"),
    ("UWSGI_SCHEME", "$scheme"),
    ("REMOTE_PORT", "$remote_port"),
    ("SERVER_ADDR", "$server_addr"),
    ("SERVER_PORT", "$server_port"),
    ("SERVER_NAME", "$server_name"),
    ("HTTP_X_FORWARDED_FOR", "$proxy_add_x_forwarded_for"),
    ("HTTP_X_FORWARDED_PROTO", "$scheme"),
    # Programs take this one for the proxy that they are to use themselves.
    ("HTTP_PROXY", '""'),
    ("HTTP_HOST", "$piku_host"),
    ("HTTP_X_FORWARDED_HOST", "$piku_host"),
    ("HTTP_X_FORWARDED_PORT", "$server_port"),
)

_PROXY_HEADERS = (
    ("Host", "$piku_host"),
    ("Proxy", '""'),
    ("Upgrade", "$piku_upgrade"),
    ("Connection", "$piku_connection"),
    ("X-Forwarded-For", "$proxy_add_x_forwarded_for"),
    ("X-Forwarded-Proto", "$scheme"),
    ("X-Forwarded-Host", "$piku_host"),
    ("X-Forwarded-Port", "$server_port"),
    ("X-Request-Start", '"t=${msec}"'),
)
