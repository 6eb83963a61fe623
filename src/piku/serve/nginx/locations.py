"""The locations of an app's server: static files, kept answers, and what is passed to the app."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from piku.serve.nginx.directives import Directive, Raw, block, d, location
from piku.serve.nginx.site import Cache, Platform, Site, Static

# An address nobody can ask for: a folder without an index ends here, and not in a listing.
_NONE = "/@piku-none"


def all_of(site: Site, platform: Platform) -> list[Directive]:
    """Every location of the app, whichever way it is made."""
    out: list[Directive] = []
    for number, static in enumerate(site.static):
        out += _file(static, platform) if static.file else _folder(site, static, number, platform)
    out += _catch_all(site, platform)
    if any(not static.file for static in site.static):
        out.append(location(_NONE, [d("internal"), d("return", 404)], modifier="="))
    prefixes = {static.prefix for static in site.static}
    for prefix in site.cache.prefixes if site.cache and site.backend else ():
        if prefix != "/":
            out += _cached(site, prefix)
    if "/" not in prefixes:
        body = _pass(site, cached=_all_cached(site)) if site.backend else [_nothing(site)]
        out.append(location("/", body))
    return out


def _nothing(site: Site) -> Directive:
    # With files alone, what is no file is not there; else the app is stopped.
    return d("return", 404 if site.static else 503)


# --- static files --------------------------------------------------------------------------------


def _folder(site: Site, static: Static, number: int, platform: Platform) -> list[Directive]:
    return (_root if static.prefix == "/" else _aliased)(site, static, number, platform)


def _root(site: Site, static: Static, number: int, platform: Platform) -> list[Directive]:
    """The folder below "/". What is no file goes to the app if there is one."""
    last = Raw("@app") if site.backend else _last(site)
    # A folder asked for without its slash is redirected, so that relative links in its page work;
    # in front of an app only files are looked for, so that its "/" is not a folder without index.
    index = Raw("$uri/index.html") if site.backend else Raw("$uri/")
    older = f"@before-{number}"
    tries = [Raw("$uri"), index, Raw(older) if static.before else last]
    body = [d("root", static.path), *_options(site, platform), d("try_files", *tries)]
    out = [location("/", body)]
    if static.before:
        body = [d("root", static.before), *_options(site, platform), d("try_files", Raw("$uri"), last)]
        out.append(location(older, body))
    if site.backend:
        out.append(location("@app", _pass(site, cached=_all_cached(site))))
    return out


def _aliased(site: Site, static: Static, number: int, platform: Platform) -> list[Directive]:
    """A folder below another prefix. Its location ends with a slash: without one, "/static../" would
    lead out of it."""
    prefix = f"{static.prefix}/"
    older = f"/@before-{number}"
    last = Raw(f"{older}$uri") if static.before else _last(site)
    body = [d("alias", f"{static.path}/"), *_options(site, platform),
            d("try_files", Raw("$uri"), Raw("$uri/"), last)]  # fmt: skip
    out = [
        location(static.prefix, [d("absolute_redirect", "off"), d("return", 301, prefix)], modifier="="),
        location(prefix, body),
    ]
    if static.before:
        # A named location can have no alias.
        body = [d("internal"), d("alias", f"{static.before}/"), *_options(site, platform),
                d("try_files", Raw("$uri"), _last(site))]  # fmt: skip
        out.append(block("location", ("^~", f"{older}{prefix}"), body))
    return out


def _file(static: Static, platform: Platform) -> list[Directive]:
    return [location(static.prefix, [d("alias", static.path), *_sending(platform)], modifier="=")]


def _catch_all(site: Site, platform: Platform) -> list[Directive]:
    """The catch-all's own file: looked for once, for if it were missing nginx would go round in circles."""
    fitting = [static for static in site.static if _covers(static, site.catch_all)]
    if not site.catch_all or not fitting or any(static.file for static in fitting):
        return []
    static = max(fitting, key=lambda static: len(static.prefix))
    if static.prefix == "/" and site.backend:
        return []
    inner = site.catch_all.removeprefix(static.prefix).lstrip("/")
    body = [d("alias", f"{static.path}/{inner}"), *_sending(platform)]
    return [block("location", ("=", site.catch_all), body)]


def _covers(static: Static, address: str) -> bool:
    if static.file:
        return static.prefix == address
    return address.startswith("/" if static.prefix == "/" else f"{static.prefix}/")


def _last(site: Site) -> Raw:
    # A checked path of an address: no variable of nginx can be in it.
    return Raw(site.catch_all or "=404")


def _options(site: Site, platform: Platform) -> list[Directive]:
    index = Raw(site.catch_all or _NONE)
    return [*_sending(platform), d("index", "index.html", index), d("absolute_redirect", "off")]


def _sending(platform: Platform) -> list[Directive]:
    """How files are sent (specification, "Static File Optimization")."""
    out = [
        d("sendfile", "on"),
        d("sendfile_max_chunk", "1m"),
        d("tcp_nopush", "on"),
        d("directio", "8m"),
        d("expires", Raw("$piku_expires")),
    ]
    if "threads" in platform.modules:
        out.append(d("aio", "threads"))
    if "http_gzip_static_module" in platform.modules:
        out.append(d("gzip_static", "on"))
    return out


# --- kept answers --------------------------------------------------------------------------------


def _all_cached(site: Site) -> bool:
    return site.cache is not None and "/" in site.cache.prefixes


def _cached(site: Site, prefix: str) -> Iterable[Directive]:
    body = _pass(site, cached=True)
    if not prefix.endswith("/"):
        # Not "/images-of-others": a prefix ends where a part of the path ends.
        yield block("location", ("=", prefix), body)
    yield location(f"{prefix.rstrip('/')}/", body)


def _keeping(site: Site, cache: Cache) -> list[Directive]:
    begin = protocol(site)
    times = [
        (200, cache.content),
        (301, 302, 307, 308, cache.redirects),
        # What failed for a moment must not fail for an hour.
        (500, 502, 503, 504, 0),
        ("any", cache.other),
    ]
    alone = Raw("$http_authorization")
    return [
        d(f"{begin}_cache", cache_zone(site, cache)),
        d(f"{begin}_cache_key", Raw("$scheme$request_method$host$request_uri")),
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


def expires_variable(site: Site) -> str:
    return f"$piku_kept_{identifier(site)}"


def identifier(site: Site) -> str:
    """The app's name as a part of a variable's."""
    return hashlib.sha256(site.app.encode()).hexdigest()[:12]


# --- the app -------------------------------------------------------------------------------------


def upstream(site: Site) -> str:
    return f"piku_{site.app}"


def protocol(site: Site) -> str:
    """How nginx's directives for the app begin."""
    return "uwsgi" if site.backend == "uwsgi" else "proxy"


def _pass(site: Site, *, cached: bool = False) -> list[Directive]:
    keeping = _keeping(site, site.cache) if cached and site.cache is not None else []
    client = "$piku_client" if site.cloudflare else "$remote_addr"
    if site.backend == "uwsgi":
        params = [d("uwsgi_param", name, Raw(value)) for name, value in _UWSGI_PARAMS]
        params.append(d("uwsgi_param", "REMOTE_ADDR", Raw(client)))
        secure = d("uwsgi_param", "HTTPS", Raw("$https"), "if_not_empty")
        modifier = [d("uwsgi_modifier1", site.modifier)] if site.modifier else []
        return [d("uwsgi_pass", upstream(site)), *modifier, *params, secure, *keeping]
    headers = [d("proxy_set_header", name, Raw(value)) for name, value in _PROXY_HEADERS]
    headers.append(d("proxy_set_header", "X-Real-IP", Raw(client)))
    return [d("proxy_pass", f"http://{upstream(site)}"), d("proxy_http_version", "1.1"), *headers, *keeping]


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
)

_PROXY_HEADERS = (
    ("Host", "$http_host"),
    ("Upgrade", "$http_upgrade"),
    ("Connection", "$piku_connection"),
    ("X-Forwarded-For", "$proxy_add_x_forwarded_for"),
    ("X-Forwarded-Proto", "$scheme"),
    ("X-Forwarded-Host", "$http_host"),
    ("X-Forwarded-Port", "$server_port"),
    ("X-Request-Start", '"t=${msec}"'),
)
