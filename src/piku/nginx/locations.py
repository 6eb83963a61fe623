"""The locations of an app's server: static files, and what is passed to the app."""

from __future__ import annotations

from piku.errors import PikuError
from piku.nginx import proxy
from piku.nginx.directives import Directive, Raw, block, d, location
from piku.nginx.site import Platform, Site, SiteState, Static

# An address that no client can reach: a folder without an index ends here, not in a listing.
_NONE = "/@piku-none"


def all_of(site: Site, platform: Platform, state: SiteState) -> list[Directive]:
    """Every location of the app."""
    out: list[Directive] = []
    to_app = proxy.to_app(site, state) if site.backend else []
    for number, static in enumerate(site.static):
        if static.file:
            body = [d("alias", static.path), *_sending(platform)]
            out.append(location(static.prefix, body, modifier="="))
        elif static.prefix == "/":
            out += _root(site, static, number, platform, to_app)
        else:
            out += _aliased(site, static, number, platform)
    out += [location(path, [d("return", 404)], modifier="=") for path in site.hidden]
    out += _catch_all(site, platform)
    if any(not static.file for static in site.static):
        out.append(location(_NONE, [d("internal"), d("return", 404)], modifier="="))
    if "/" not in {static.prefix for static in site.static}:
        # With files alone, what is no file does not exist.
        nothing = d("return", 404 if site.static and not site.stopped else 503)
        out.append(location("/", to_app or [nothing]))
    return out


def refuse_duplicates(site: Site) -> None:
    """Raise PikuError when two settings want the same address, which nginx would refuse."""
    found = all_of(site, Platform(), SiteState(certificate=""))
    wanted = [item.args for item in found]
    for args in wanted:
        if wanted.count(args) > 1:
            raise PikuError(
                f"NGINX_STATIC_PATHS: two things would answer {args[-1]}",
                hint="change NGINX_STATIC_PATHS or NGINX_CATCH_ALL",
            )


# --- static files --------------------------------------------------------------------------------


def _root(
    site: Site, static: Static, number: int, platform: Platform, to_app: list[Directive]
) -> list[Directive]:
    """The folder below "/". What is no file goes to the app, if there is one."""
    last = Raw("@app") if site.backend else Raw("=503") if site.stopped else _last(site)
    older = f"@before-{number}"
    fallback = Raw(older) if static.before else last
    found = [d("try_files", Raw("$uri"), Raw("$uri/"), fallback)]
    if site.backend or site.stopped:
        # A folder is redirected to its address with a slash, so that relative links in its page
        # work; in front of an app only one that has a page is: other addresses may be the app's.
        slash = d("rewrite", Raw("^(.+[^/])$"), Raw("$1/"), "permanent")
        has_page = (Raw("(-f"), Raw("$request_filename/index.html)"))
        found = [block("if", has_page, [slash]), d("try_files", Raw("$uri"), fallback)]
    options = _options(site, platform)
    out = [location("/", [d("root", static.path), *options, *found])]
    if static.before:
        again = d("try_files", Raw("$uri"), last)
        out.append(location(older, [d("root", static.before), *options, again]))
    if site.backend:
        out.append(location("@app", to_app))
    return out


def _aliased(site: Site, static: Static, number: int, platform: Platform) -> list[Directive]:
    """A folder below another prefix. Its location ends with a slash: without one, "/static../"
    would lead out of it."""
    prefix = f"{static.prefix}/"
    older = f"/@before-{number}"
    target = Raw(f"{prefix}$is_args$args")  # a checked path: no variable of a user's is in it
    slash = [d("absolute_redirect", "off"), d("return", 301, target)]
    last = Raw(f"{older}$uri") if static.before else _last(site)
    options = _options(site, platform)
    tries = d("try_files", Raw("$uri"), Raw("$uri/"), last)
    out = [
        location(static.prefix, slash, modifier="="),
        location(prefix, [d("alias", f"{static.path}/"), *options, tries]),
    ]
    if static.before:  # a named location can have no alias
        again = d("try_files", Raw("$uri"), _last(site))
        body = [d("internal"), d("alias", f"{static.before}/"), *options, again]
        out.append(location(f"{older}{prefix}", body, modifier="^~"))
    return out


def _catch_all(site: Site, platform: Platform) -> list[Directive]:
    """The catch-all's own file: tried once, for if it were missing nginx would loop."""
    covering = [static for static in site.static if _covers(static, site.catch_all)]
    if not site.catch_all or not covering or any(static.file for static in covering):
        return []
    static = max(covering, key=lambda static: len(static.prefix))
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
    index = d("index", "index.html", Raw(site.catch_all or _NONE))
    return [*_sending(platform), index, d("absolute_redirect", "off")]


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
