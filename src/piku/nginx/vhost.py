"""The configuration of one app: its servers, and the definitions that they use."""

from __future__ import annotations

from itertools import chain

from piku.nginx import locations, proxy
from piku.nginx.directives import Directive, Raw, block, d, location, render
from piku.nginx.main_config import challenge, secure_listens
from piku.nginx.site import Platform, Site, SiteState


def app_config(site: Site, platform: Platform, state: SiteState) -> str:
    """The app's file, as nginx reads it."""
    return render(directives(site, platform, state))


def directives(site: Site, platform: Platform, state: SiteState) -> list[Directive]:
    """The same, as data."""
    out = _definitions(site, platform, state)
    plain = [d("listen", address) for address in platform.listens(site, platform.http_port)]
    secure = [
        *secure_listens(platform.listens(site, platform.https_port), platform),
        d("ssl_certificate", state.certificate),
        d("ssl_certificate_key", state.certificate),
    ]
    names = d("server_name", *site.names)
    content = _content(site, platform, state)
    suffix = platform.port_suffix(secure=True)
    if site.https_only:
        to_https = _redirect(f"https://$host{suffix}")
        out.append(block("server", (), [*plain, names, challenge(platform), to_https]))
        out.append(block("server", (), [*secure, names, *content]))
    else:
        out.append(block("server", (), [*plain, *secure, names, *content]))
    if site.redirect_from:
        begin, end = ("https", suffix) if site.https_only else ("$scheme", "$piku_port")
        moved = _redirect(f"{begin}://{site.names[0]}{end}")
        others = d("server_name", *site.redirect_from)
        # Browsers that keep a list of names with this policy want it with redirects as well.
        policy = _policy(site, state)
        body = [*plain, *secure, others, *policy, challenge(platform), moved]
        out.append(block("server", (), body))
    return out


def _redirect(target: str) -> Directive:
    """To the same path there; the names in it are checked host names."""
    return location("/", [d("return", 301, Raw(f"{target}$request_uri"))])


# --- beside the servers --------------------------------------------------------------------------


def _definitions(site: Site, platform: Platform, state: SiteState) -> list[Directive]:
    out = [proxy.upstream(site, state)] if site.backend else []
    if site.cache is not None:
        out += proxy.cache_zone(site, site.cache, platform)
    if site.rate:
        zone = f"zone=piku_{site.app}:1m"
        out.append(d("limit_req_zone", Raw("$piku_limited"), zone, f"rate={site.rate}"))
    if site.hsts:
        # Over plain HTTP a browser must not believe it (RFC 6797, section 7.2).
        values = [d("on", site.hsts), d("default", "")]
        out.append(block("map", (Raw("$https"), Raw(_hsts_variable(site))), values))
    return out


def _hsts_variable(site: Site) -> str:
    return f"$piku_hsts_{proxy.identifier(site)}"


# --- inside the server ---------------------------------------------------------------------------


def _content(site: Site, platform: Platform, state: SiteState) -> list[Directive]:
    additions = list(chain.from_iterable(each.server for each in state.additions))
    out = [*_access_log(site, platform), *_headers(site, platform, state)]
    if any(each.closed for each in state.additions):
        return [*out, challenge(platform), *additions]
    if site.max_body:  # only when it was asked for: an include file may say it as well
        out.append(d("client_max_body_size", site.max_body))
    out += [*_access(site, state), *chain(*(error_page(*page) for page in site.error_pages))]
    out.append(challenge(platform))
    if site.backend and site.timeout != 60:
        protocol = proxy.protocol(site)
        out += [d(f"{protocol}_{end}_timeout", f"{site.timeout}s") for end in ("read", "send")]
    if not site.allow_git:
        out.append(location(Raw(r"/\.git"), [d("return", 404)], modifier="~"))
    out += [*locations.all_of(site, state), *additions]
    return [*out, d("include", site.include)] if site.include else out


def _access_log(site: Site, platform: Platform) -> list[Directive]:
    if not site.access_log or site.backend == "uwsgi":
        return []
    # A check must not make files elsewhere.
    path = f"{platform.check_dir}/{site.app}.log" if platform.check_dir else site.access_log
    return [d("access_log", path, "piku_forwarded" if site.forwarded else "piku_peer")]


def _headers(site: Site, platform: Platform, state: SiteState) -> list[Directive]:
    """Headers of every answer: a location with one of its own hides all of these."""
    out = _policy(site, state)
    if platform.http3:
        out.append(d("add_header", "Alt-Svc", f'h3=":{platform.https_port}"; ma=86400'))
    if site.cache is not None:
        out.append(d("add_header", "X-Cache", Raw("$upstream_cache_status"), "always"))
    return out


def _policy(site: Site, state: SiteState) -> list[Directive]:
    if not site.hsts or not state.trusted:
        return []
    return [d("add_header", "Strict-Transport-Security", Raw(_hsts_variable(site)), "always")]


def _access(site: Site, state: SiteState) -> list[Directive]:
    out = []
    if site.cloudflare:
        out += [d("allow", network) for network in (*state.cloudflare, *site.clients)]
        out.append(d("deny", "all"))
    if site.passwords:
        out += [d("auth_basic", site.app), d("auth_basic_user_file", site.passwords)]
    if site.rate:
        burst = [f"burst={site.burst}", "nodelay"] if site.burst else []
        out.append(d("limit_req", f"zone=piku_{site.app}", *burst))
    return out


def error_page(status: int, file: str) -> list[Directive]:
    """A page for errors of this status that nginx answers, for everybody."""
    address = proxy.error_address(status, file)
    body = [d("internal"), d("auth_basic", "off"), d("allow", "all"), d("alias", file)]
    return [d("error_page", status, address), location(address, body, modifier="=")]
