"""How an app's server passes requests on to the app."""

import hashlib
from itertools import chain
from pathlib import PurePath

from piku.app import settings
from piku.nginx import main_config
from piku.nginx.directives import Directive, Raw, block, d
from piku.nginx.site import Site, SiteState
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


def upstream_name(site: Site) -> str:
    # To nginx, upstreams whose names differ in case alone are the same.
    name = site.app
    return f"piku_{name}" if name == name.lower() else f"piku-{name}-{identifier(site)}"


def upstreams(site: Site, state: SiteState) -> list[Directive]:
    """The app's processes; over HTTP, once with connections that are kept, and once without."""
    # One failure must not rest a server for 10 s: while an app starts, all of its servers fail.
    trusted = ("max_fails=0",) if len(site.upstreams) > 1 else ()
    given = tuple(chain.from_iterable(each.servers for each in state.additions))
    servers = given or (d("server", each, *trusted) for each in site.upstreams)
    name, body = upstream_name(site), list(servers)
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
    # A client can forge a chain of addresses, so one is passed on only where it is asked for.
    chained = settings.LOG_X_FORWARDED_FOR.read(site.values)
    forwarded = "$proxy_add_x_forwarded_for" if chained else "$piku_client"
    # In each location: outside, one such directive of an include file would hide all of these.
    params = main_config.params(protocol(site), forwarded)
    if site.backend == "http":
        target = Raw(f"http://${{piku_connect}}{upstream_name(site)}")
        return [d("proxy_pass", target), *params]
    number = ini.MODIFIERS[site.serving]
    modifier = [d("uwsgi_modifier1", number)] if number else []
    return [d("uwsgi_pass", upstream_name(site)), *modifier, *params]
