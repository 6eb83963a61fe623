"""What nginx does by these settings, for one app."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from piku import files
from piku.app.procfile import UWSGI_SERVED
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Live, Process
from piku.errors import PikuError
from piku.extras.site_options import settings
from piku.nginx import proxy
from piku.nginx.directives import Directive, Raw, block, d
from piku.nginx.site import Additions, Site
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.tls import certificate

# uWSGI's routes of an answer: nginx reads the header, no client sees it. What is larger would be
# too large a file, and what the app says itself stays.
_AT_MOST = 16 * 2**20  # bytes
_TAKEN_AT_ONCE = (
    ("collect-header", "Content-Length PIKU_LENGTH"),
    ("collect-header", "X-Accel-Buffering PIKU_BUFFERING"),
    ("response-route-if", "empty:${PIKU_LENGTH} last:"),
    ("response-route-if", f"ishigher:${{PIKU_LENGTH}};{_AT_MOST} last:"),
    ("response-route-if", "empty:${PIKU_BUFFERING} addheader:X-Accel-Buffering: yes"),
)


def additions(_paths: Paths, app: AppPaths, site: Site) -> Additions:
    """What the settings of this site add to its configuration."""
    policy, policies = _policy(app, site)
    zone, limit = _rate_limit(site)
    realm, login = _login(app, site)
    return Additions(
        http=(*policy, *zone, *realm),
        headers=policies,
        server=(*_sizes_and_times(site), *login, *limit),
        pages={
            status: str(app.live_link / path)
            for status, path in settings.ERROR_PAGES.read(site.values)
        },
    )


def _policy(app: AppPaths, site: Site) -> tuple[tuple[Directive, ...], tuple[Directive, ...]]:
    """HSTS: the header's value, and the header."""
    value = settings.HSTS.read(site.values)
    # Nobody could get past a browser's warning of a self-signed certificate.
    if not value or not certificate.certificate(app, site.all_names).trusted:
        return (), ()
    # Over plain HTTP a browser must not believe it (RFC 6797, section 7.2).
    variable = Raw(f"$piku_hsts_{proxy.identifier(site)}")
    chosen = block("map", (Raw("$piku_scheme"), variable), [d("https", value), d("default", "")])
    return (chosen,), (d("add_header", "Strict-Transport-Security", variable, "always"),)


def _rate_limit(site: Site) -> tuple[tuple[Directive, ...], tuple[Directive, ...]]:
    """The zone in which requests are counted, and the limit."""
    wanted = settings.RATE_LIMIT.read(site.values)
    if wanted is None:
        return (), ()
    rate, burst = wanted
    zone = d("limit_req_zone", Raw("$piku_limited"), f"zone=piku_{site.app}:1m", f"rate={rate}")
    at_once = (f"burst={burst}", "nodelay") if burst else ()
    return (zone,), (d("limit_req", f"zone=piku_{site.app}", *at_once),)


def _sizes_and_times(site: Site) -> Iterator[Directive]:
    # Only what was asked for: an include file may say it as well.
    if site.values.get(settings.MAX_BODY_SIZE.name):
        yield d("client_max_body_size", settings.MAX_BODY_SIZE.read(site.values))
    seconds = settings.PROXY_TIMEOUT.read(site.values)
    if site.backend and seconds != int(settings.PROXY_TIMEOUT.default):
        for end in ("read", "send"):
            yield d(f"{proxy.protocol(site)}_{end}_timeout", f"{seconds}s")
    if site.backend and settings.PROXY_BUFFERING.read(site.values):
        yield d(f"{proxy.protocol(site)}_buffering", "on")
    if site.backend and not settings.REQUEST_BUFFERING.read(site.values):
        yield d(f"{proxy.protocol(site)}_request_buffering", "off")


def uwsgi(deployment: Deployment, process: Process) -> Sequence[tuple[str, str]]:
    """Options that let an app that uWSGI serves read an upload as it comes, and have nginx take an
    answer whose length is known at once: a slow client would keep a thread busy with it."""
    streams = not settings.REQUEST_BUFFERING.read(deployment.values)
    uploads = [("post-buffering", "0")] if streams else []
    return [*uploads, *(_TAKEN_AT_ONCE if process.kind in UWSGI_SERVED else ())]


# --- passwords -----------------------------------------------------------------------------------


def _login(app: AppPaths, site: Site) -> tuple[list[Directive], list[Directive]]:
    """The realm, where it depends on the request, and who may see the app."""
    place, text = _password_file(app, site)
    if not text:
        return [], []
    if files.peek(place) != text:
        files.write(place, text, mode=0o600)
    users = d("auth_basic_user_file", str(place))
    if not settings.BASIC_AUTH_PREFLIGHT.read(site.values):
        return [], [d("auth_basic", site.app), users]
    # Browsers send no password with it (Fetch standard, "CORS-preflight fetch").
    realm = Raw(f"$piku_realm_{proxy.identifier(site)}")
    asked = Raw('"$request_method $http_access_control_request_method"')
    preflight = d(Raw('"~^OPTIONS .+"'), "off")
    chosen = block("map", (asked, realm), [preflight, d("default", site.app)])
    return [chosen], [d("auth_basic", realm), users]


def _password_file(app: AppPaths, site: Site) -> tuple[Path, str]:
    """A file named by what it holds: nginx reads it at each request, and a release that fails must
    not change it."""
    users = settings.BASIC_AUTH.read(site.values)
    text = "".join(f"{user}:{password}\n" for user, password in users)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return app.releases / f"passwords{SEPARATOR}{digest}", text


def forget_passwords(_paths: Paths, app: AppPaths, live: Live | None) -> None:
    """Remove the files of passwords that are no longer used."""
    used = _password_file(app, live.site)[0] if live and live.site else None
    for place in app.releases.glob(f"passwords{SEPARATOR}*"):
        if place != used:
            files.remove(place)


# --- error pages ---------------------------------------------------------------------------------


def missing_pages(deployment: Deployment) -> list[str]:
    """Warnings of error pages that are not in the commit, so that the build has to make them.

    A link is refused, wherever it leads: nginx would follow it.
    """
    modes = deployment.revision.tree.modes
    pages = {path for _, path in settings.ERROR_PAGES.read(deployment.values)}
    for place in sorted(str(one) for page in pages for one in (Path(page), *Path(page).parents)):
        if modes.get(place) == "120000":
            hint = "commit the page itself there"
            raise PikuError(f"NGINX_ERROR_PAGES: {place} is a link", hint=hint)
    missing = sorted(pages - set(deployment.revision.tree.files))
    return [f"NGINX_ERROR_PAGES: there is no file {path!r} in this commit" for path in missing]
