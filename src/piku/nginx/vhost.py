"""The configuration of one app: its servers, and what is said once beside them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from piku.nginx import locations, proxy
from piku.nginx.directives import Directive, Raw, block, d, location, render
from piku.nginx.server import challenge, secure_listens
from piku.nginx.site import Around, Cache, Platform, Site

_MAINTENANCE = "/@piku-maintenance.html"


def app_config(site: Site, platform: Platform, around: Around) -> str:
    """All that nginx is told of one app."""
    return render(directives(site, platform, around))


def directives(site: Site, platform: Platform, around: Around) -> list[Directive]:
    """The same, as data."""
    out = _definitions(site, platform)
    plain = [d("listen", listen) for listen in platform.listens(site, platform.http_port)]
    secure = [
        *secure_listens(platform.listens(site, platform.https_port), platform),
        d("ssl_certificate", around.certificate),
        d("ssl_certificate_key", around.certificate),
    ]
    names = d("server_name", *site.names)
    content = _content(site, platform, around)
    if site.https_only:
        to_https = _redirect(Raw(f"https://$host{platform.port_suffix(secure=True)}$request_uri"))
        out.append(block("server", (), [*plain, names, challenge(platform), to_https]))
        out.append(block("server", (), [*secure, names, *content]))
    else:
        out.append(block("server", (), [*plain, *secure, names, *content]))
    if site.redirect_from:
        out += _redirects(site, platform, around, plain, secure)
    return out


def _redirects(
    site: Site,
    platform: Platform,
    around: Around,
    plain: Sequence[Directive],
    secure: Sequence[Directive],
) -> list[Directive]:
    # Browsers that keep a list of names with this policy want it with the redirects as well.
    lead = [d("server_name", *site.redirect_from), *_policy(site, around), challenge(platform)]
    out = []
    for listens, is_secure in ((plain, False), (secure, True)):
        https = is_secure or site.https_only
        target = (
            f"{'https' if https else 'http'}://{site.names[0]}{platform.port_suffix(secure=https)}"
        )
        moved = _redirect(Raw(f"{target}$request_uri"))
        out.append(block("server", (), [*listens, *lead, moved]))
    return out


def _redirect(target: Raw) -> Directive:
    return location("/", [d("return", 301, target)])


# --- beside the servers --------------------------------------------------------------------------


def _definitions(site: Site, platform: Platform) -> list[Directive]:
    out = [_upstream(site)] if site.backend else []
    if site.cache is not None:
        out += _cache_zone(site, site.cache, platform)
    if site.rate:
        key = "$piku_limited_client" if site.cloudflare else "$piku_limited"
        out.append(
            d("limit_req_zone", Raw(key), f"zone={_zone(site, key)}:1m", f"rate={site.rate}")
        )
    if site.hsts:
        # Over plain HTTP a browser must not believe it (RFC 6797, section 7.2).
        policy = block(
            "map",
            (Raw("$https"), Raw(_hsts_variable(site))),
            [d("on", site.hsts), d("default", "")],
        )
        out.append(policy)
    return out


def _upstream(site: Site) -> Directive:
    # With others beside it, nginx would let a server rest for 10 s after one failure; if all of them
    # failed once, as while they start, nobody would answer for that long.
    spares = (*site.spares, *(site.upstreams[:1] if site.naps else ()))
    trusted = ("max_fails=0",) if len(site.upstreams) + len(spares) > 1 else ()
    body = [d("server", address, *trusted) for address in site.upstreams]
    body += [d("server", address, "max_fails=0", "backup") for address in spares]
    if site.backend == "http":
        body.append(d("keepalive", 32))
        if site.idle:
            body.append(d("keepalive_timeout", "5s"))  # an open connection would keep it awake
    return block("upstream", (proxy.upstream(site),), body)


def _cache_zone(site: Site, cache: Cache, platform: Platform) -> list[Directive]:
    zone = proxy.cache_zone(site, cache)
    # A candidate must not make folders.
    path = f"{platform.harmless}/{zone}" if platform.harmless else cache.path
    protocol = proxy.protocol(site)
    chosen = [d("default", zone if "/" in cache.prefixes else "off")]
    # A prefix ends where a part of the path ends: "/images" is not "/images-of-others".
    kept = (prefix.strip("/") for prefix in cache.prefixes)
    chosen += [d(Raw(f'"~^/{re.escape(prefix)}(/|$)"'), zone) for prefix in kept if prefix]
    # What was answered with a cookie, or to somebody who logged in, is nobody else's; an app that says
    # itself how long its answer holds knows better.
    variable = proxy.zone_variable(site)
    heads = "$upstream_http_set_cookie$http_authorization$upstream_http_cache_control$upstream_http_expires"
    return [
        d(f"{protocol}_cache_path", path, "levels=1:2", f"keys_zone={zone}:1m", f"max_size={cache.size}g",
          f"inactive={cache.expiry}s", "use_temp_path=off"),
        block("map", (Raw("$uri"), Raw(variable)), chosen),
        block("map", (Raw(f'"{variable} {heads}"'), Raw(proxy.expires_variable(site))),
              [d(Raw(f'"{zone} "'), f"{cache.control}s"), d("default", "off")]),
    ]  # fmt: skip


def _zone(site: Site, *parts: str) -> str:
    """A name for shared memory; nginx refuses to reload when the same name changes its meaning."""
    return f"piku_{site.app}_{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:8]}"


def _hsts_variable(site: Site) -> str:
    return f"$piku_hsts_{proxy.identifier(site)}"


# --- inside the server ---------------------------------------------------------------------------


def _content(site: Site, platform: Platform, around: Around) -> list[Directive]:
    out = [
        *_access_log(site, platform),
        # Only when it was asked for: an include file may say it as well.
        *([d("client_max_body_size", site.max_body)] if site.max_body else []),
        *_headers(site, platform, around),
        *_access(site, around),
        *_error_pages(site, platform, around),
        challenge(platform),
    ]
    if around.maintenance:
        return [*out, location("/", [d("return", 503)])]
    out += _timeouts(site)
    if not site.allow_git:
        out.append(location(Raw(r"/\.git"), [d("return", 404)], modifier="~"))
    out += locations.all_of(site, platform)
    if site.idle and around.waker:
        out += proxy.waking(site, around.waker)
    if site.include:
        out.append(d("include", site.include))
    return out


def _policy(site: Site, around: Around) -> list[Directive]:
    if not site.hsts or not around.trusted:
        return []
    return [d("add_header", "Strict-Transport-Security", Raw(_hsts_variable(site)), "always")]


def _access_log(site: Site, platform: Platform) -> list[Directive]:
    if not site.access_log:
        return []
    # A candidate must not make files.
    path = f"{platform.harmless}/{site.app}.log" if platform.harmless else site.access_log
    client = "forwarded" if site.forwarded else "cloudflare" if site.cloudflare else "peer"
    return [d("access_log", path, f"piku_{client}")]


def _headers(site: Site, platform: Platform, around: Around) -> list[Directive]:
    """Headers of every answer: a location with one of its own has to repeat them, for it hides these."""
    out = _policy(site, around)
    if platform.http3:
        out.append(d("add_header", "Alt-Svc", f'h3=":{platform.https_port}"; ma=86400'))
    if site.cache is not None:
        out.append(d("add_header", "X-Cache", Raw("$upstream_cache_status"), "always"))
    return out


def _access(site: Site, around: Around) -> list[Directive]:
    out = []
    if site.cloudflare:
        out += [d("allow", network) for network in (*around.cloudflare, *site.clients)]
        out.append(d("deny", "all"))
    if site.passwords:
        out += [d("auth_basic", site.app), d("auth_basic_user_file", site.passwords)]
    if site.rate:
        key = "$piku_limited_client" if site.cloudflare else "$piku_limited"
        burst = [f"burst={site.burst}", "nodelay"] if site.burst else []
        out.append(d("limit_req", f"zone={_zone(site, key)}", *burst))
        out.append(d("limit_req_status", 429))
    return out


def _error_pages(site: Site, platform: Platform, around: Around) -> list[Directive]:
    pages = {status: (proxy.error_address(status, file), file) for status, file in site.error_pages}
    extra: dict[int, list[Directive]] = {}
    if around.maintenance:
        pages = {503: pages.get(503, (_MAINTENANCE, around.maintenance))}
        again = d("add_header", "Retry-After", around.retry_after, "always")
        extra[503] = [*_headers(site, platform, around), again]
    out = []
    for status, (address, file) in pages.items():
        shown = [d("internal"), d("auth_basic", "off"), d("allow", "all"), *extra.get(status, ())]
        out.append(d("error_page", status, address))
        out.append(location(address, [*shown, d("alias", file)], modifier="="))
    return out


def _timeouts(site: Site) -> list[Directive]:
    if not site.backend or site.timeout == 60:
        return []
    protocol = proxy.protocol(site)
    return [d(f"{protocol}_{what}_timeout", f"{site.timeout}s") for what in ("read", "send")]
