"""Which files everybody may see: static folders, error pages, nginx's cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from piku.app import checks, settings
from piku.errors import PikuError
from piku.nginx.site import Cache, Static
from piku.paths import AppPaths

_HIDDEN = ("ENV", "Procfile")
# Below the piku root, what apps keep for others to see; the rest holds secrets of all apps.
_OPEN = ("apps", "cache", "data")


@dataclass(frozen=True, kw_only=True)
class Release:
    """What a site is made of. `worker` is the folder of the Procfile's static line; `serving` the
    process type that answers requests, and `upstreams` where its processes listen, as nginx writes
    it; `clients` the addresses that the live site lets in beside Cloudflare's."""

    app: AppPaths
    values: Mapping[str, str]
    checkout: Path
    worker: str = ""
    serving: str = ""
    upstreams: tuple[str, ...] = ()
    clients: tuple[str, ...] = ()


def static(release: Release) -> Iterator[Static]:
    """The folders and files of the static worker and NGINX_STATIC_PATHS; raises PikuError."""
    wanted = settings.STATIC_PATHS.read(release.values)
    if release.worker:
        if any(prefix == "/" for prefix, _ in wanted):
            raise PikuError(
                "NGINX_STATIC_PATHS has the prefix '/', which the Procfile's static worker has too",
                hint="keep one of them",
            )
        yield _mapping(release, "/", release.worker, "static")
    for prefix, path in wanted:
        yield _mapping(release, prefix, path, "NGINX_STATIC_PATHS")


def _mapping(release: Release, prefix: str, path: str, setting: str) -> Static:
    app = release.app
    if Path(path).is_relative_to(app.live_link):
        # The app's own folder means the commit that is being deployed, not the live one.
        path = str(Path(path).relative_to(app.live_link))
    found = _located(release, path, setting)
    file = found.is_file()
    if file and prefix == "/":
        raise PikuError(f"{setting}: {path} is a file, and '/' needs a folder")
    if path.startswith("/"):
        return Static(prefix=prefix, path=str(found), file=file)
    before = "" if file else str(app.before_link / path)
    return Static(prefix=prefix, path=str(app.live_link / path), before=before, file=file)


def _located(release: Release, path: str, setting: str) -> Path:
    """The file or folder that a setting names; raises PikuError unless everybody may see it."""
    app, absolute = release.app, path.startswith("/")
    found = real(release.checkout / path, setting, path)
    allowed = [release.checkout, app.data]
    if absolute:
        allowed = [app.data, *(each for name in _OPEN for each in (app.root / name).iterdir())]
    inside = next((each for each in allowed if found.is_relative_to(each.resolve())), None)
    if inside is None:
        any_app = f"an app's folder in {', '.join(_OPEN)} of {app.root}"
        where = any_app if absolute else "the app's folder"
        raise PikuError(f"{setting}: {path} leads outside {where}")
    if not found.exists():
        if not absolute or inside != app.data:
            where = "" if absolute else " in this commit"
            raise PikuError(f"{setting}: there is no file or folder {path!r}{where}")
        _make(found, setting, path)
    # Through the link to another app's live release, not into the checkout that it leads to today.
    return inside / found.relative_to(inside.resolve())


def real(path: Path, setting: str, wanted: str) -> Path:
    """Where a path really leads, whether it exists or not; raises PikuError."""
    try:
        found = path.resolve()
        found.exists()
    except (OSError, RuntimeError):  # a link to itself, a folder that may not be entered
        raise PikuError(f"{setting}: {wanted} leads nowhere") from None
    return found


def _make(folder: Path, setting: str, wanted: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PikuError(f"{setting}: {wanted} cannot be made: {error.strerror}") from None


def hidden(app: AppPaths, static: Sequence[Static]) -> Iterator[str]:
    """The addresses of files in an app's top folder that nobody may see; raises PikuError."""
    for one in static:
        if Path(one.path).parent == app.live_link.parent:
            for address in (f"{one.prefix.rstrip('/')}/{name}" for name in _HIDDEN):
                if any(other.prefix == address for other in static):
                    raise PikuError(f"NGINX_STATIC_PATHS: {address} is a file that nobody may see")
                yield address


def error_pages(release: Release) -> Iterator[tuple[int, str]]:
    """The page for each status; raises PikuError."""
    for status, path in settings.ERROR_PAGES.read(release.values):
        if not _located(release, path, "NGINX_ERROR_PAGES").is_file():
            raise PikuError(f"NGINX_ERROR_PAGES: {path} is not a file")
        yield status, str(release.app.live_link / path)


def cache(release: Release, static: Sequence[Static]) -> Cache | None:
    """What nginx keeps answers of, if anything; raises PikuError."""
    values = release.values
    prefixes = settings.CACHE_PREFIXES.read(values)
    taken = {one.prefix for one in static} - {"/"}
    for prefix in prefixes:
        if (prefix.rstrip("/") or "/") in taken:
            raise PikuError(
                f"{checks.quoted(prefix)} is in NGINX_CACHE_PREFIXES and in NGINX_STATIC_PATHS",
                hint="choose one",
            )
    if not prefixes:
        return None
    return Cache(
        prefixes=prefixes,
        path=str(_cache_path(release)),
        size=settings.CACHE_SIZE.read(values),
        content=settings.CACHE_TIME.read(values),
        control=settings.CACHE_CONTROL.read(values),
        redirects=settings.CACHE_REDIRECTS.read(values),
        other=settings.CACHE_ANY.read(values),
        expiry=settings.CACHE_EXPIRY.read(values),
    )


def _cache_path(release: Release) -> Path:
    """Where answers are kept: in a folder of its own, for nginx removes whatever else is there."""
    app, wanted = release.app, settings.CACHE_PATH.read(release.values)
    own = (app.cache.resolve(), app.data.resolve())
    found = real(app.cache / wanted, "NGINX_CACHE_PATH", wanted) / "nginx"
    if not any(found.is_relative_to(folder) for folder in own):
        raise PikuError(
            f"NGINX_CACHE_PATH={wanted} is not in a folder of the app's own",
            hint=f"give a path in {own[0]} or {own[1]}",
        )
    _make(found.parent, "NGINX_CACHE_PATH", str(found.parent))
    return found
