"""How an app's server passes requests on to the app, and keeps its answers."""

from __future__ import annotations

import hashlib
import re
from itertools import chain
from pathlib import PurePath

from piku.app import settings
from piku.nginx import main_config
from piku.nginx.directives import Directive, Raw, block, d
from piku.nginx.site import Platform, Site, SiteState
from piku.uwsgi import ini


def identifier(site: Site) -> str:
    """The app's name as a part of a variable's."""
    return hashlib.sha256(site.app.encode()).hexdigest()[:12]


def protocol(site: Site) -> str:
    """How nginx's directives for the app begin."""
    return "uwsgi" if site.backend == "uwsgi" else "proxy"


def error_address(status: int, file: str) -> str:
    """The address under which nginx finds an error's page."""
    return f"/@piku-{status}{PurePath(file).suffix}"


def _upstream_name(site: Site) -> str:
    # To nginx, upstreams whose names differ in case alone are the same.
    name = site.app
    return f"piku_{name}" if name == name.lower() else f"piku-{name}-{identifier(site)}"


def upstreams(site: Site, state: SiteState) -> list[Directive]:
    """The app's processes; over HTTP, once with connections that are kept, and once without."""
    # One failure must not rest a server for 10 s: while an app starts, all of its servers fail.
    trusted = ("max_fails=0",) if len(site.upstreams) > 1 else ()
    name, body = _upstream_name(site), [d("server", each, *trusted) for each in site.upstreams]
    body = [*chain.from_iterable(each.upstream for each in state.additions), *body]
    if site.backend == "uwsgi":
        return [block("upstream", (name,), body)]
    # The time is below that of servers: gunicorn closes a connection after two seconds.
    kept = [*body, d("keepalive", 32), d("keepalive_timeout", "1s")]
    return [block("upstream", (name,), kept), block("upstream", (f"fresh-{name}",), body)]


def to_app(site: Site, state: SiteState) -> list[Directive]:
    """What passes a request on to the app."""
    if added := list(chain.from_iterable(each.proxy for each in state.additions)):
        # An error_page among these hides all those of the server.
        pages = state.pages.items()
        added += [d("error_page", status, error_address(status, file)) for status, file in pages]
    return [*bare(site), *added]


def bare(site: Site) -> list[Directive]:
    """The same, without what extras add."""
    # In each location: outside, one such directive of an include file would hide all of these.
    params = main_config.params(protocol(site))
    keeping = _keeping(site) if site.cache else []
    if site.backend == "http":
        target = Raw(f"http://${{piku_connect}}{_upstream_name(site)}")
        return [d("proxy_pass", target), *params, *keeping]
    number = ini.MODIFIERS[site.serving]
    modifier = [d("uwsgi_modifier1", number)] if number else []
    return [d("uwsgi_pass", _upstream_name(site)), *modifier, *params, *keeping]


# --- kept answers --------------------------------------------------------------------------------


def zone_name(site: Site) -> str:
    """The cache's name; nginx refuses to reload when the same name changes path or protocol."""
    place = hashlib.sha256(f"{site.cache} {site.backend}".encode()).hexdigest()[:8]
    return f"piku_{site.app}_{place}"


def cache_zone(site: Site, platform: Platform) -> list[Directive]:
    """The cache, and which answers it keeps."""
    values, zone = site.values, zone_name(site)
    # A check must not make folders elsewhere.
    path = f"{platform.check_dir}/{zone}" if platform.check_dir else site.cache
    size = f"max_size={settings.CACHE_SIZE.read(values)}g"
    expiry = f"inactive={settings.CACHE_EXPIRY.read(values)}s"
    levels = ("levels=1:2", f"keys_zone={zone}:1m", size, expiry, "use_temp_path=off")
    # A prefix ends where a part of the path ends: "/images" is not "/images-of-others".
    kept = [prefix.strip("/") for prefix in settings.CACHE_PREFIXES.read(values)]
    chosen = [d("default", zone if "" in kept else "off")]
    chosen += [d(Raw(f'"~^/{re.escape(one)}(/|$)"'), zone) for one in kept if one]
    # An answer with a cookie, or to somebody who logged in, is for nobody else; an app that says
    # how long its answer holds knows better.
    heads = "$upstream_http_set_cookie$http_authorization"
    heads += "$upstream_http_cache_control$upstream_http_expires"
    heads += "$piku_unsized" if site.backend == "uwsgi" else "$piku_unended"
    chosen_zone, expires = _variables(site)
    holds = (Raw(f'"{chosen_zone} {heads}"'), expires)
    seconds = settings.CACHE_CONTROL.read(values)
    return [
        d(f"{protocol(site)}_cache_path", path, *levels),
        block("map", (Raw("$uri"), chosen_zone), chosen),
        block("map", holds, [d(Raw(f'"{zone} "'), f"{seconds}s"), d("default", "off")]),
    ]


def _keeping(site: Site) -> list[Directive]:
    begin, values = f"{protocol(site)}_cache", site.values
    zone, expires = _variables(site)
    times = (
        (200, settings.CACHE_TIME.read(values)),
        (301, 302, 307, 308, settings.CACHE_REDIRECTS.read(values)),
        (408, 425, 429, 500, 502, 503, 504, 0),  # a short failure must not last for an hour
        ("any", settings.CACHE_ANY.read(values)),
    )
    return [
        d(f"{protocol(site)}_buffering", "on"),  # without it nothing is kept
        d(begin, zone),
        *(d(f"{begin}_valid", *codes, f"{seconds}s") for *codes, seconds in times),
        d("expires", expires),
    ]


def _variables(site: Site) -> tuple[Raw, Raw]:
    """What holds the cache's name ("off" where nothing is kept), and the time for browsers."""
    name = identifier(site)
    return Raw(f"$piku_cache_{name}"), Raw(f"$piku_kept_{name}")
