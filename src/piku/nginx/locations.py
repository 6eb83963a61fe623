"""The locations of an app's server: static files, and what is passed to the app."""

from __future__ import annotations

from piku.nginx import proxy
from piku.nginx.directives import Directive, Raw, block, d, location
from piku.nginx.site import Site, SiteState, Static

# An address that no client can reach: a folder without an index ends here, not in a listing.
_NONE = "/@piku-none"
_EXPIRES = d("expires", Raw("$piku_expires"))


def all_of(site: Site, state: SiteState) -> list[Directive]:
    """Every location of the app."""
    out: list[Directive] = []
    to_app = proxy.to_app(site, state) if site.backend else []
    for number, static in enumerate(site.static):
        if static.file:
            body = [d("alias", static.path), _EXPIRES]
            out.append(location(static.prefix, body, modifier="="))
        elif static.prefix == "/":
            out += _root(site, static, number, to_app)
        else:
            out += _aliased(site, static, number)
    out += [location(path, [d("return", 404)], modifier="=") for path in site.hidden]
    if any(not static.file for static in site.static):
        out.append(location(_NONE, [d("internal"), d("return", 404)], modifier="="))
    if "/" not in {static.prefix for static in site.static}:
        # With files alone, what is no file does not exist.
        nothing = d("return", 404 if site.static and not site.stopped else 503)
        out.append(location("/", to_app or [nothing]))
    return out


# --- static files --------------------------------------------------------------------------------


def _root(site: Site, static: Static, number: int, to_app: list[Directive]) -> list[Directive]:
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
    options = _options(site)
    out = [location("/", [d("root", static.path), *options, *found])]
    if static.before:
        again = d("try_files", Raw("$uri"), last)
        out.append(location(older, [d("root", static.before), *options, again]))
    if site.backend:
        out.append(location("@app", to_app))
    return out


def _aliased(site: Site, static: Static, number: int) -> list[Directive]:
    """A folder below another prefix. Its location ends with a slash: without one, "/static../"
    would lead out of it."""
    prefix = f"{static.prefix}/"
    older = f"/@before-{number}"
    target = Raw(f"{prefix}$is_args$args")  # a checked path: no variable of a user's is in it
    last = Raw(f"{older}$uri") if static.before else _last(site)
    options = _options(site)
    tries = d("try_files", Raw("$uri"), Raw("$uri/"), last)
    out = [
        location(static.prefix, [d("return", 301, target)], modifier="="),
        location(prefix, [d("alias", f"{static.path}/"), *options, tries]),
    ]
    if static.before:  # a named location can have no alias
        again = d("try_files", Raw("$uri"), _last(site))
        body = [d("internal"), d("alias", f"{static.before}/"), *options, again]
        out.append(location(f"{older}{prefix}", body, modifier="^~"))
    return out


def _last(site: Site) -> Raw:
    # A checked path of an address: no variable of nginx can be in it.
    return Raw(site.catch_all or "=404")


def _options(site: Site) -> list[Directive]:
    return [_EXPIRES, d("index", "index.html", Raw(site.catch_all or _NONE))]
