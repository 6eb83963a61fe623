"""What nginx is to know of an activation: the settings for it, with paths looked at on disk."""

from __future__ import annotations

import hashlib
import ipaddress
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from piku import effects
from piku.app import settings
from piku.deploy import records
from piku.deploy.job import Job
from piku.deploy.records import Process
from piku.errors import PikuError
from piku.paths import SEPARATOR
from piku.serve import uwsgi
from piku.serve.nginx.site import Cache, Site, Static

_HIDDEN = ("ENV", "Procfile")
# Below the piku root, what apps keep for others to see; the rest holds secrets of all apps.
_OPEN = ("apps", "cache", "data")


def of(job: Job, served: Sequence[Process]) -> Site | None:
    """The site of an app with a host name; raises PikuError for a setting that cannot be followed."""
    values = job.values
    names = settings.SERVER_NAME.read(values)
    redirected = _redirected(names, settings.REDIRECT_FROM.read(values))
    if not names:
        return None
    backend = "" if not served else "uwsgi" if job.plan.port == "socket" else "http"
    rate, burst = settings.RATE_LIMIT.read(values) or ("", 0)
    static = tuple(_static(job))
    cloudflare = settings.CLOUDFLARE_ACL.read(values)
    return Site(
        app=job.app.name,
        names=names,
        redirect_from=redirected,
        backend=backend,
        modifier=uwsgi.MODIFIERS.get(job.plan.serving, 0),
        upstreams=tuple(_upstream(job, process) for process in served),
        spares=tuple(
            f"{process.address.rpartition(':')[0]}:{process.spare}" for process in served if process.spare
        ),
        static=static,
        catch_all=settings.CATCH_ALL.read(values),
        hidden=tuple(_hidden(job, static)),
        cache=_cache(job, static),
        https_only=settings.HTTPS_ONLY.read(values),
        hsts=settings.HSTS.read(values),
        ipv4=settings.IPV4_ADDRESS.read(values),
        ipv6=settings.IPV6_ADDRESS.read(values),
        no_ipv6=settings.DISABLE_IPV6.read(values),
        allow_git=settings.ALLOW_GIT.read(values),
        cloudflare=cloudflare,
        clients=_clients(job) if cloudflare else (),
        passwords=_passwords(job),
        rate=rate,
        burst=burst,
        max_body=settings.MAX_BODY_SIZE.read(values) if settings.MAX_BODY_SIZE.name in values else "",
        timeout=settings.PROXY_TIMEOUT.read(values),
        error_pages=tuple(_error_pages(job)),
        include=_include(job),
    )


def _redirected(names: Sequence[str], redirected: tuple[str, ...]) -> tuple[str, ...]:
    if not redirected:
        return ()
    if not names or names[0].startswith("*"):
        raise PikuError(
            "NGINX_REDIRECT_FROM needs a host name to redirect to",
            hint="give one without '*' as the first of NGINX_SERVER_NAME",
        )
    if both := sorted(set(names) & set(redirected)):
        raise PikuError(f"{both[0]} is in NGINX_SERVER_NAME and in NGINX_REDIRECT_FROM", hint="choose one")
    return redirected


def _upstream(job: Job, process: Process) -> str:
    # A wsgi app is switched by replacing the link that nginx connects to, without a reload.
    return f"unix:{job.app.socket(process.instance)}" if job.plan.port == "socket" else process.address


# --- files ---------------------------------------------------------------------------------------


def _static(job: Job) -> Iterator[Static]:
    worker = job.source.procfile.command("static")
    wanted = settings.STATIC_PATHS.read(job.values)
    if worker:
        if any(prefix == "/" for prefix, _ in wanted):
            raise PikuError(
                "NGINX_STATIC_PATHS has the prefix '/', and the Procfile a static worker, which is for it",
                hint="keep one of them",
            )
        yield _mapping(job, "/", worker, "static")
    for prefix, path in wanted:
        yield _mapping(job, prefix, path, "NGINX_STATIC_PATHS")


def _mapping(job: Job, prefix: str, path: str, setting: str) -> Static:
    found = _located(job, path, setting)
    if found.is_file() and prefix == "/":
        raise PikuError(f"{setting}: {path} is a file, and '/' needs a folder")
    inside = "" if path.startswith("/") else str(PurePosixPath(path))
    return Static(
        prefix=prefix,
        path=str(job.app.live_link / inside) if inside else str(found),
        before=str(job.app.before_link / inside) if inside and not found.is_file() else "",
        file=found.is_file(),
    )


def _located(job: Job, path: str, setting: str) -> Path:
    """Where a path of a setting really leads; raises PikuError unless it may be shown to everybody."""
    if path.startswith("/"):
        return _in_root(job, path, setting)
    checkout = job.checkout.resolve()
    found = (checkout / path).resolve()
    if not found.is_relative_to(checkout) and not found.is_relative_to(job.app.data.resolve()):
        raise PikuError(f"{setting}: {path} leads outside the app's folder")
    if not found.exists():
        raise PikuError(f"{setting}: there is no file or folder {path!r} in this commit")
    return found


def _in_root(job: Job, path: str, setting: str) -> Path:
    root, found = job.paths.root.resolve(), Path(path).resolve()
    if not any(found.is_relative_to(root / folder) and found != root / folder for folder in _OPEN):
        allowed = ", ".join(_OPEN)
        raise PikuError(
            f"{setting}: {path} is outside what may be shown",
            hint=f"an absolute path leads below {root}, into one of its folders {allowed}",
        )
    if not found.exists():
        if not found.is_relative_to(job.app.data.resolve()):
            raise PikuError(f"{setting}: there is no file or folder {path}")
        found.mkdir(parents=True)
    return found


def _hidden(job: Job, static: Sequence[Static]) -> Iterator[str]:
    """The addresses of files that are in the app's top folder, but for nobody's eyes."""
    for one in static:
        if Path(one.path) == job.app.live_link:
            yield from (f"{one.prefix.rstrip('/')}/{name}" for name in _HIDDEN)


def _error_pages(job: Job) -> Iterator[tuple[int, str]]:
    for status, path in settings.ERROR_PAGES.read(job.values):
        if not _located(job, path, "NGINX_ERROR_PAGES").is_file():
            raise PikuError(f"NGINX_ERROR_PAGES: {path} is not a file")
        yield status, str(job.app.live_link / path)


def _cache(job: Job, static: Sequence[Static]) -> Cache | None:
    values = job.values
    prefixes = settings.CACHE_PREFIXES.read(values)
    taken = {one.prefix for one in static} - {"/"}
    for prefix in prefixes:
        if (prefix.rstrip("/") or "/") in taken:
            raise PikuError(
                f"{prefix} is in NGINX_CACHE_PREFIXES and in NGINX_STATIC_PATHS", hint="choose one"
            )
    if not prefixes:
        return None
    return Cache(
        prefixes=prefixes,
        path=str(_cache_path(job)),
        size=settings.CACHE_SIZE.read(values),
        content=settings.CACHE_TIME.read(values),
        control=settings.CACHE_CONTROL.read(values),
        redirects=settings.CACHE_REDIRECTS.read(values),
        other=settings.CACHE_ANY.read(values),
        expiry=settings.CACHE_EXPIRY.read(values),
    )


def _cache_path(job: Job) -> Path:
    """Where answers are kept. nginx removes what it finds there and does not know, so nothing may be."""
    wanted = settings.CACHE_PATH.read(job.values)
    own = (job.app.cache.resolve(), job.app.data.resolve())
    found = (job.app.cache / (wanted or "nginx")).resolve()
    if not any(found.is_relative_to(folder) and found != folder for folder in own):
        raise PikuError(
            f"NGINX_CACHE_PATH={wanted} is outside the app's own folders",
            hint=f"give a path inside {own[0]} or {own[1]}",
        )
    known = {f"{number:x}" for number in range(16)}
    if found.exists() and (not found.is_dir() or any(entry.name not in known for entry in found.iterdir())):
        raise PikuError(
            f"NGINX_CACHE_PATH={wanted}: {found} holds other files, which nginx would remove",
            hint="give an empty folder, or one that does not exist yet",
        )
    found.parent.mkdir(parents=True, exist_ok=True)
    return found


# --- who is let in -------------------------------------------------------------------------------


def _clients(job: Job) -> tuple[str, ...]:
    """The address that deploys (specification, "CloudFlare Integration"); on the server itself, the last."""
    text = os.environ.get("SSH_CLIENT", "").split(" ")[0].partition("%")[0]
    try:
        return (str(ipaddress.ip_address(text)),)
    except ValueError:
        live = records.live(job.app)
        return live.site.clients if live and live.site else ()


def _passwords(job: Job) -> str:
    users = settings.BASIC_AUTH.read(job.values)
    if not users:
        return ""
    return _kept(job, "passwords", "".join(f"{user}:{password}\n" for user, password in users))


# --- the app's own directives --------------------------------------------------------------------


def _include(job: Job) -> str:
    """A copy of the app's include file, named by its content: later edits cannot break nginx."""
    wanted = settings.INCLUDE_FILE.read(job.values)
    if not wanted:
        return ""
    checkout = job.checkout.resolve()
    file = (checkout / wanted).resolve()
    if not file.is_relative_to(checkout):
        raise PikuError(f"NGINX_INCLUDE_FILE={wanted} leads outside the app's folder")
    if not file.is_file():
        raise PikuError(f"NGINX_INCLUDE_FILE={wanted}: there is no such file in this commit")
    return _kept(job, f"include{SEPARATOR}{file.name}", effects.read(file))


def _kept(job: Job, name: str, text: str) -> str:
    """The path of a file that holds this text for good: nginx may read it again at any time."""
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
    kept = job.app.releases / f"kept{SEPARATOR}{digest}{SEPARATOR}{name}"
    if not kept.exists():
        effects.write(kept, text, mode=0o600)
    return str(kept)
