"""From an app's settings to its site."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Sequence

from piku import files
from piku.app import settings
from piku.errors import PikuError
from piku.nginx import static_files
from piku.nginx.site import Site
from piku.nginx.static_files import Release
from piku.paths import SEPARATOR, AppPaths


def of(release: Release) -> Site | None:
    """The site of an app with a host name; raises PikuError for wrong settings."""
    app, values = release.app, release.values
    names = settings.SERVER_NAME.read(values)
    redirect_from = _redirect_from(names, settings.REDIRECT_FROM.read(values))
    if not names:
        return None
    rate, burst = settings.RATE_LIMIT.read(values) or ("", 0)
    static = tuple(static_files.static(release))
    cloudflare = settings.CLOUDFLARE_ACL.read(values)
    limited = bool(values.get(settings.MAX_BODY_SIZE.name))
    return Site(
        app=app.name,
        names=names,
        redirect_from=redirect_from,
        serving=release.serving,
        upstreams=release.upstreams,
        static=static,
        catch_all=settings.CATCH_ALL.read(values),
        hidden=tuple(static_files.hidden(app, static)),
        cache=static_files.cache(release, static),
        https_only=settings.HTTPS_ONLY.read(values),
        hsts=settings.HSTS.read(values),
        ipv4=settings.IPV4_ADDRESS.read(values),
        ipv6=settings.IPV6_ADDRESS.read(values),
        no_ipv6=settings.DISABLE_IPV6.read(values),
        allow_git=settings.ALLOW_GIT.read(values),
        cloudflare=cloudflare,
        clients=_clients(release) if cloudflare else (),
        passwords=_passwords(release),
        rate=rate,
        burst=burst,
        max_body=settings.MAX_BODY_SIZE.read(values) if limited else "",
        timeout=settings.PROXY_TIMEOUT.read(values),
        error_pages=tuple(static_files.error_pages(release)),
        include=_include(release),
        access_log=_access_log(app),
        forwarded=settings.LOG_X_FORWARDED_FOR.read(values),
        idle=settings.IDLE.read(values),
    )


def _redirect_from(names: Sequence[str], others: tuple[str, ...]) -> tuple[str, ...]:
    if others and (not names or names[0].startswith("*")):
        raise PikuError(
            "NGINX_REDIRECT_FROM needs a host name to redirect to",
            hint="give one without '*' as the first of NGINX_SERVER_NAME",
        )
    if both := sorted(set(names) & set(others)):
        raise PikuError(
            f"{both[0]} is in NGINX_SERVER_NAME and in NGINX_REDIRECT_FROM", hint="choose one"
        )
    return others


def _access_log(app: AppPaths) -> str:
    app.access_log.parent.mkdir(parents=True, exist_ok=True)
    app.access_log.touch(mode=0o640)  # nginx would let everybody read it
    return str(app.access_log)


def _clients(release: Release) -> tuple[str, ...]:
    """The address that deploys (specification, "CloudFlare Integration"); here, the last."""
    text = os.environ.get("SSH_CLIENT", "").split(" ")[0].partition("%")[0]
    try:
        return (str(ipaddress.ip_address(text)),)
    except ValueError:
        return release.clients


def _passwords(release: Release) -> str:
    users = settings.BASIC_AUTH.read(release.values)
    text = "".join(f"{user}:{password}\n" for user, password in users)
    return _kept(release.app, "passwords", text) if users else ""


def _include(release: Release) -> str:
    """A copy of the app's include file, named by its content: later edits cannot break nginx."""
    wanted = settings.INCLUDE_FILE.read(release.values)
    if not wanted:
        return ""
    checkout = release.checkout.resolve()
    file = static_files.real(checkout / wanted, "NGINX_INCLUDE_FILE", wanted)
    if not file.is_relative_to(checkout):
        raise PikuError(f"NGINX_INCLUDE_FILE={wanted} leads outside the app's folder")
    if not file.is_file():
        raise PikuError(f"NGINX_INCLUDE_FILE={wanted}: there is no such file in this commit")
    return _kept(release.app, f"include{SEPARATOR}{file.name}", files.read(file))


def _kept(app: AppPaths, name: str, text: str) -> str:
    """The path of a file that holds this text for good: nginx may read it again at any time."""
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
    kept = app.releases / f"kept{SEPARATOR}{digest}{SEPARATOR}{name}"
    if files.read(kept) != text:  # a power cut may have left a part of it
        files.write(kept, text, mode=0o600)
    return str(kept)
