"""The configuration of one app: its servers, and the locations in them."""

from collections.abc import Iterator
from itertools import chain

from piku.app import settings
from piku.nginx import proxy
from piku.nginx.directives import Directive, Raw, block, d, location
from piku.nginx.main_config import challenge, secure_listens
from piku.nginx.site import Platform, Site, SiteState, Static
from piku.paths import SEPARATOR

# An address that no client can reach: a folder without an index ends here, not in a listing.
_NONE = "/@piku-none"
_TRIES = (Raw("$uri"), Raw("$uri.html"), Raw("$uri/"))
_EXPIRES = d("expires", Raw("$piku_expires"))
# Files of these types are taken to be UTF-8; what an app says of its own answers stays.
_CHARSET = d("charset_types", Raw(
    "application/javascript application/json application/yaml text/calendar text/css text/csv"
    " text/javascript text/markdown text/plain text/vtt text/xml"))  # fmt: skip


def directives(site: Site, platform: Platform, state: SiteState) -> list[Directive]:
    """All that the app's file has."""
    out = proxy.upstreams(site, state) if site.backend else []
    out += chain.from_iterable(each.http for each in state.additions)
    plain = [d("listen", address) for address in platform.listens(site, platform.http_port)]
    secure = [
        *secure_listens(platform.listens(site, platform.https_port), platform),
        d("ssl_certificate", state.certificate),
        d("ssl_certificate_key", state.certificate),
    ]
    fronts = {name: body for each in state.additions for name, body in each.fronts.items()}
    own = [name for name in site.names if "/" not in name and name not in fronts]
    names, inner = d("server_name", *own), [one for each in state.additions for one in each.listen]
    headers = list(chain.from_iterable(each.headers for each in state.additions))
    content = [*inner, *_access_log(site, platform), *headers, *_content(site, platform, state)]
    suffix = platform.port_suffix(secure=True)
    out += [block("server", (), [*plain, *secure, *body]) for body in fronts.values()]
    if inner and not own:
        out.append(block("server", (), content))
    elif site.https_only:
        to_https = _redirect(f"https://$host{suffix}")
        out.append(block("server", (), [*plain, names, challenge(platform), to_https]))
        out.append(block("server", (), [*secure, names, *content]))
    else:
        out.append(block("server", (), [*plain, *secure, names, *content]))
    if site.redirect_from:
        begin, end = ("https", suffix) if site.https_only else ("$scheme", "$piku_port")
        moved = [challenge(platform), _redirect(f"{begin}://{site.names[0]}{end}")]
        others = d("server_name", *site.redirect_from)
        out.append(block("server", (), [*plain, *secure, others, *headers, *moved]))
    return out


def _redirect(target: str) -> Directive:
    """To the same path there; the names in it are checked host names."""
    return location("/", [d("return", 301, Raw(f"{target}$request_uri"))])


def _access_log(site: Site, platform: Platform) -> list[Directive]:
    if not site.access_log or site.backend == "uwsgi":
        return []
    # A check must not make files elsewhere.
    path = f"{platform.check_dir}/{site.app}.log" if platform.check_dir else site.access_log
    forwarded = settings.LOG_X_FORWARDED_FOR.read(site.values)
    return [d("access_log", path, "piku_forwarded" if forwarded else "piku_peer")]


def _content(site: Site, platform: Platform, state: SiteState) -> list[Directive]:
    # A location with a header of its own hides all of these.
    out = []
    if platform.http3:
        out.append(d("add_header", "Alt-Svc", f'h3=":{platform.https_port}"; ma=86400'))
    own = f"{platform.root}/apps/{site.app}"
    out += chain(*(_error_page(*page, own) for page in state.pages.items()))
    out.append(challenge(platform))
    closed = [each for each in state.additions if each.closed]
    out += chain.from_iterable(each.server for each in closed or state.additions)
    if closed:
        return out
    if state.cloudflare:
        out += [d("allow", network) for network in (*state.cloudflare, *site.clients)]
        out.append(d("deny", "all"))
    out.append(location(Raw(settings.never_served(site.values)), [d("return", 404)], modifier="~"))
    out += _locations(site, state)
    return [*out, d("include", site.include)] if site.include else out


def _error_page(status: int, file: str, own: str) -> list[Directive]:
    """A page for errors of this status that nginx answers, for everybody. `own` is the link to the
    app's files, below which none may be a link: the build could make one to anything."""
    address = proxy.error_address(status, file)
    body = [d("internal"), d("auth_basic", "off"), d("allow", "all"), d("alias", file)]
    body += [d("disable_symlinks", "on", f"from={own}")] if file.startswith(f"{own}/") else []
    return [d("error_page", status, address), location(address, body, modifier="=")]


# --- locations -----------------------------------------------------------------------------------


def _locations(site: Site, state: SiteState) -> Iterator[Directive]:
    """Static files, and what is passed to the app."""
    to_app = proxy.to_app(site, state) if site.backend else []
    for number, static in enumerate(site.static):
        if static.file:
            body = [d("alias", static.path), _EXPIRES, *_confined(site, static)]
            yield location(static.prefix, body, modifier="=")
        elif static.prefix == "/":
            yield from _root(site, static, f"@before-{number}")
        else:
            yield from _aliased(site, static, f"/@before-{number}")
    # With files alone, what is no file does not exist.
    no_file = to_app or [d("return", 404 if site.static and not site.stopped else 503)]
    if any(not static.file for static in site.static):
        yield location(_NONE, [d("internal"), d("return", 404)], modifier="=")
        yield location(Raw(settings.OWN_FILES), no_file, modifier="~")
    if all(static.prefix != "/" for static in site.static):
        yield location("/", no_file)
    elif to_app:
        yield location("@app", to_app)


def _root(site: Site, static: Static, older: str) -> Iterator[Directive]:
    """The folder below "/". What is no file goes to the app, if there is one."""
    last = Raw("@app") if site.backend else Raw("=503") if site.stopped else _last(site)
    fallback = Raw(older) if static.before else last
    found = [d("try_files", *_TRIES, fallback)]
    if site.serving:
        # A folder is redirected to its address with a slash, so that relative links in its page
        # work; in front of an app only one that has a page is: other addresses may be the app's.
        slash = d("rewrite", Raw("^(.+[^/])$"), Raw("$1/"), "permanent")
        has_page = (Raw("(-f"), Raw("$request_filename/index.html)"))
        found = [block("if", has_page, [slash]), d("try_files", Raw("$uri"), fallback)]
    yield location("/", [d("root", static.path), *_options(site, static), *found])
    if static.before:
        again = d("try_files", Raw("$uri"), last)
        options = _options(site, static, static.before)
        yield location(older, [d("root", static.before), *options, again])


def _aliased(site: Site, static: Static, older: str) -> Iterator[Directive]:
    """A folder below another prefix. Its location ends with a slash: without one, "/static../"
    would lead out of it."""
    prefix = f"{static.prefix}/"
    target = Raw(f"{prefix}$is_args$args")  # a checked path: no variable of a user's is in it
    last = Raw(f"{older}$uri") if static.before else _last(site)
    tries = d("try_files", *_TRIES, last)
    yield location(static.prefix, [d("return", 301, target)], modifier="=")
    yield location(prefix, [d("alias", f"{static.path}/"), *_options(site, static), tries])
    if static.before:  # a named location can have no alias
        again = d("try_files", Raw("$uri"), _last(site))
        options = _options(site, static, static.before)
        body = [d("internal"), d("alias", f"{static.before}/"), *options, again]
        yield location(f"{older}{prefix}", body, modifier="^~")


def _last(site: Site) -> Raw:
    # A checked path of an address: no variable of nginx can be in it.
    return Raw(settings.CATCH_ALL.read(site.values) or "=404")


def _options(site: Site, static: Static, before: str = "") -> list[Directive]:
    index = d("index", "index.html", Raw(settings.CATCH_ALL.read(site.values) or _NONE))
    return [_EXPIRES, _CHARSET, index, *_confined(site, static, before)]


def _confined(site: Site, static: Static, before: str = "") -> list[Directive]:
    """Follow no links below what is served: an uploaded archive may have brought them."""
    if static.plain and not before:
        return []
    if static.links and not before:
        return [d("disable_symlinks", "on", Raw(f"from={base_variable(site)}"))]
    start = f"{static.base}{SEPARATOR}before" if before else static.base
    return [d("disable_symlinks", "on", f"from={start or static.path}")]


def base_variable(site: Site) -> str:
    """What holds down to where links are followed, in folders that have such links."""
    return f"$piku_base_{proxy.identifier(site)}"
