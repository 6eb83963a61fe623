"""What nginx is to know of an activation: the settings for it, with paths looked at on disk."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from piku import effects
from piku.app import checks, settings
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
        stopped=bool(job.plan.serving) and not served,
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
        max_body=settings.MAX_BODY_SIZE.read(values) if values.get(settings.MAX_BODY_SIZE.name) else "",
        timeout=settings.PROXY_TIMEOUT.read(values),
        error_pages=tuple(_error_pages(job)),
        include=_include(job),
        access_log=_access_log(job) if backend != "uwsgi" else "",
        forwarded=settings.LOG_X_FORWARDED_FOR.read(values),
        idle=settings.IDLE.read(values) if backend == "http" and job.plan.serving == "web" else 0,
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


def _access_log(job: Job) -> str:
    log = job.app.access_log
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch(mode=0o640)  # nginx would let everybody read it
    return str(log)


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
    path = _inside_own(job, path)
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


def _inside_own(job: Job, path: str) -> str:
    """An absolute path below the app's own folder as one relative to it: it means the commit that is
    being deployed, not the live one."""
    folder = job.paths.root / "apps" / job.app.name
    for own in (folder, job.paths.root.resolve() / "apps" / job.app.name):
        if Path(path).is_relative_to(own):
            return str(Path(path).relative_to(own))
    return path


def _real(path: Path, setting: str, wanted: str) -> Path:
    """Where a path really leads, whether there is anything or not."""
    try:
        found = path.resolve()
        found.exists()
    except (OSError, RuntimeError):  # a link to itself, a folder that may not be entered
        raise PikuError(f"{setting}: {wanted} leads nowhere") from None
    return found


def _made(folder: Path, setting: str, wanted: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PikuError(f"{setting}: {wanted} cannot be made: {error.strerror}") from None


def _located(job: Job, path: str, setting: str) -> Path:
    """Where a path of a setting really leads; raises PikuError unless it may be shown to everybody."""
    if path.startswith("/"):
        return _in_root(job, path, setting)
    checkout = job.checkout.resolve()
    found = _real(checkout / path, setting, path)
    if not found.is_relative_to(checkout) and not found.is_relative_to(job.app.data.resolve()):
        raise PikuError(f"{setting}: {path} leads outside the app's folder")
    if not found.exists():
        raise PikuError(f"{setting}: there is no file or folder {path!r} in this commit")
    return found


def _in_root(job: Job, path: str, setting: str) -> Path:
    root, found = job.paths.root.resolve(), _real(Path(path), setting, path)
    shown = [job.app.data, *(entry for folder in _OPEN for entry in (root / folder).iterdir())]
    inside = next((entry for entry in shown if found.is_relative_to(entry.resolve())), None)
    if inside is None:
        allowed = ", ".join(_OPEN)
        raise PikuError(
            f"{setting}: {path} is outside what may be shown",
            hint=f"an absolute path leads below {root}, into the folder of an app in {allowed}",
        )
    if not found.exists():
        if inside != job.app.data:
            raise PikuError(f"{setting}: there is no file or folder {path}")
        _made(found, setting, path)
    # Through the link to another app's live release, not into the checkout that it leads to today.
    return inside / found.relative_to(inside.resolve())


def _hidden(job: Job, static: Sequence[Static]) -> Iterator[str]:
    """The addresses of files that are in the app's top folder, but for nobody's eyes."""
    apps = (job.paths.root / "apps", job.paths.root.resolve() / "apps")
    for one in static:
        if Path(one.path).parent in apps:
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
                f"{checks.shown(prefix)} is in NGINX_CACHE_PREFIXES and in NGINX_STATIC_PATHS",
                hint="choose one",
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
    found = _real(job.app.cache / (wanted or "nginx"), "NGINX_CACHE_PATH", wanted)
    if not any(found.is_relative_to(folder) and found != folder for folder in own):
        raise PikuError(
            f"NGINX_CACHE_PATH={wanted} is not inside a folder of the app's own",
            hint=f"give a path inside {own[0]} or {own[1]}",
        )
    if found.exists() and not _is_cache(found):
        raise PikuError(
            f"NGINX_CACHE_PATH={wanted}: {found} holds other files, which nginx would remove",
            hint="give an empty folder, or one that does not exist yet",
        )
    _made(found.parent, "NGINX_CACHE_PATH", str(found.parent))
    return found


def _is_cache(folder: Path) -> bool:
    """Whether there is nothing in it but the two levels of folders that nginx makes in a cache."""
    try:
        firsts = list(folder.iterdir())
        return all(re.fullmatch("[0-9a-f]", first.name) for first in firsts) and all(
            re.fullmatch("[0-9a-f]{2}", second.name) and second.is_dir()
            for first in firsts
            for second in first.iterdir()
        )
    except OSError:  # a file, or a folder that may not be entered
        return False


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
    file = _real(checkout / wanted, "NGINX_INCLUDE_FILE", wanted)
    if not file.is_relative_to(checkout):
        raise PikuError(f"NGINX_INCLUDE_FILE={wanted} leads outside the app's folder")
    if not file.is_file():
        raise PikuError(f"NGINX_INCLUDE_FILE={wanted}: there is no such file in this commit")
    return _kept(job, f"include{SEPARATOR}{file.name}", effects.read(file))


def _kept(job: Job, name: str, text: str) -> str:
    """The path of a file that holds this text for good: nginx may read it again at any time."""
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
    kept = job.app.releases / f"kept{SEPARATOR}{digest}{SEPARATOR}{name}"
    if effects.read(kept) != text:  # a power cut may have left a part of it
        effects.write(kept, text, mode=0o600)
    return str(kept)
