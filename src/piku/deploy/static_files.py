"""Which files everybody may see: static folders, error pages and nginx's cache, looked at on disk."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from piku.app import checks, settings
from piku.deploy.deployment import Job
from piku.errors import PikuError
from piku.nginx.site import Cache, Static

_HIDDEN = ("ENV", "Procfile")
# Below the piku root, what apps keep for others to see; the rest holds secrets of all apps.
_OPEN = ("apps", "cache", "data")


def static(job: Job) -> Iterator[Static]:
    """The folders and files of NGINX_STATIC_PATHS and of the static worker; raises PikuError."""
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


def real(path: Path, setting: str, wanted: str) -> Path:
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
    found = real(checkout / path, setting, path)
    if not found.is_relative_to(checkout) and not found.is_relative_to(job.app.data.resolve()):
        raise PikuError(f"{setting}: {path} leads outside the app's folder")
    if not found.exists():
        raise PikuError(f"{setting}: there is no file or folder {path!r} in this commit")
    return found


def _in_root(job: Job, path: str, setting: str) -> Path:
    root, found = job.paths.root.resolve(), real(Path(path), setting, path)
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


def hidden(job: Job, static: Sequence[Static]) -> Iterator[str]:
    """The addresses of files that are in the app's top folder, but for nobody's eyes."""
    apps = (job.paths.root / "apps", job.paths.root.resolve() / "apps")
    for one in static:
        if Path(one.path).parent in apps:
            yield from (f"{one.prefix.rstrip('/')}/{name}" for name in _HIDDEN)


def error_pages(job: Job) -> Iterator[tuple[int, str]]:
    """The page for each status; raises PikuError."""
    for status, path in settings.ERROR_PAGES.read(job.values):
        if not _located(job, path, "NGINX_ERROR_PAGES").is_file():
            raise PikuError(f"NGINX_ERROR_PAGES: {path} is not a file")
        yield status, str(job.app.live_link / path)


def cache(job: Job, static: Sequence[Static]) -> Cache | None:
    """What nginx is to keep answers of, if anything; raises PikuError."""
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
    found = real(job.app.cache / (wanted or "nginx"), "NGINX_CACHE_PATH", wanted)
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
