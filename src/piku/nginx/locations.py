"""The locations of an app's server: static files, and what is passed to the app."""

from __future__ import annotations

from piku.nginx import proxy
from piku.nginx.directives import Directive, Raw, block, d, location
from piku.nginx.site import Platform, Site, Static

# An address nobody can ask for: a folder without an index ends here, and not in a listing.
_NONE = "/@piku-none"


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
        out.append(location("/", proxy.to_app(site) if site.backend else [_nothing(site)]))
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
        body = [
            d("root", static.before),
            *_options(site, platform),
            d("try_files", Raw("$uri"), last),
        ]
        out.append(location(older, body))
    if site.backend:
        out.append(location("@app", proxy.to_app(site)))
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
        location(
            static.prefix, [d("absolute_redirect", "off"), d("return", 301, target)], modifier="="
        ),
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
