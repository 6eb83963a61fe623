"""The locations of an app's server: static files, kept answers, and what is passed to the app."""

from __future__ import annotations

import hashlib
from pathlib import PurePath

from piku.serve.nginx.directives import Directive, Raw, block, d, location
from piku.serve.nginx.site import Cache, Platform, Site, Static

# An address nobody can ask for: a folder without an index ends here, and not in a listing.
_NONE = "/@piku-none"
WAKE, AWAKE = "@piku-wake", "@piku-awake"


def all_of(site: Site, platform: Platform) -> list[Directive]:
    """Every location of the app, whichever way it is made. nginx refuses two for one address: what was
    mapped by name comes before what is hidden, and that before what is answered in another way."""
    out: list[Directive] = []
    for number, static in enumerate(site.static):
        out += _file(static, platform) if static.file else _folder(site, static, number, platform)
    out += [location(path, [d("return", 404)], modifier="=") for path in site.hidden]
    out += _catch_all(site, platform)
    if any(not static.file for static in site.static):
        out.append(location(_NONE, [d("internal"), d("return", 404)], modifier="="))
    prefixes = {static.prefix for static in site.static}
    if "/" not in prefixes:
        out.append(location("/", _pass(site) if site.backend else [_nothing(site)]))
    first = {item.args: item for item in reversed(out)}
    return [item for item in out if first[item.args] is item]


def _nothing(site: Site) -> Directive:
    # With files alone, what is no file is not there.
    return d("return", 404 if site.static and not site.stopped else 503)


# --- static files --------------------------------------------------------------------------------


def _folder(site: Site, static: Static, number: int, platform: Platform) -> list[Directive]:
    return (_root if static.prefix == "/" else _aliased)(site, static, number, platform)


def _root(site: Site, static: Static, number: int, platform: Platform) -> list[Directive]:
    """The folder below "/". What is no file goes to the app if there is one."""
    last = Raw("@app") if site.backend else Raw("=503") if site.stopped else _last(site)
    older = f"@before-{number}"
    fallback = Raw(older) if static.before else last
    # A folder asked for without its slash is redirected, so that relative links in its page work;
    # in front of an app only one that has a page is: the others' addresses may be the app's own.
    if site.backend or site.stopped:
        slash = d("rewrite", Raw("^(.+[^/])$"), Raw("$1/"), "permanent")
        found = [block("if", (Raw("(-f"), Raw("$request_filename/index.html)")), [slash]),
                 d("try_files", Raw("$uri"), fallback)]  # fmt: skip
    else:
        found = [d("try_files", Raw("$uri"), Raw("$uri/"), fallback)]
    body = [d("root", static.path), *_options(site, platform), *found]
    out = [location("/", body)]
    if static.before:
        body = [d("root", static.before), *_options(site, platform), d("try_files", Raw("$uri"), last)]
        out.append(location(older, body))
    if site.backend:
        out.append(location("@app", _pass(site)))
    return out


def _aliased(site: Site, static: Static, number: int, platform: Platform) -> list[Directive]:
    """A folder below another prefix. Its location ends with a slash: without one, "/static../" would
    lead out of it."""
    prefix = f"{static.prefix}/"
    target = Raw(f"{prefix}$is_args$args")  # a checked path: no variable of a user's is in it
    older = f"/@before-{number}"
    last = Raw(f"{older}$uri") if static.before else _last(site)
    body = [d("alias", f"{static.path}/"), *_options(site, platform),
            d("try_files", Raw("$uri"), Raw("$uri/"), last)]  # fmt: skip
    out = [
        location(static.prefix, [d("absolute_redirect", "off"), d("return", 301, target)], modifier="="),
        location(prefix, body),
    ]
    if static.before:
        # A named location can have no alias.
        body = [d("internal"), d("alias", f"{static.before}/"), *_options(site, platform),
                d("try_files", Raw("$uri"), _last(site))]  # fmt: skip
        out.append(location(f"{older}{prefix}", body, modifier="^~"))
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
    return [location(site.catch_all, body, modifier="=")]


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


def _pass(site: Site, *, wakes: bool = True) -> list[Directive]:
    keeping = _keeping(site, site.cache) if site.cache is not None else []
    client = "$piku_client" if site.cloudflare else "$remote_addr"
    # A request that an app is slow with is not asked for once more from the next process.
    once = d(f"{protocol(site)}_next_upstream", "error")
    if site.backend == "uwsgi":
        params = [d("uwsgi_param", name, Raw(value)) for name, value in _UWSGI_PARAMS]
        params += [d("uwsgi_param", name, Raw(client)) for name in ("REMOTE_ADDR", "HTTP_X_REAL_IP")]
        secure = d("uwsgi_param", "HTTPS", Raw("$https"), "if_not_empty")
        modifier = [d("uwsgi_modifier1", site.modifier)] if site.modifier else []
        return [d("uwsgi_pass", upstream(site)), once, *modifier, *params, secure, *keeping]
    headers = [d("proxy_set_header", name, Raw(value)) for name, value in _PROXY_HEADERS]
    headers.append(d("proxy_set_header", "X-Real-IP", Raw(client)))
    begin = [d("proxy_pass", f"http://{upstream(site)}"), d("proxy_http_version", "1.1"), once]
    return [*begin, *headers, *keeping, *(_wakes(site) if site.idle and wakes else ())]


def _wakes(site: Site) -> list[Directive]:
    """Nobody listens while the app sleeps: have it woken, and then ask again."""
    pages = [(status, error_address(status, file)) for status, file in site.error_pages if status != 502]
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
    return [location(WAKE, body), location(AWAKE, _pass(site, wakes=False))]


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
