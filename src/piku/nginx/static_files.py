"""Which files everybody may see: static folders, error pages, nginx's cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

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
    for own in _own_folders(app):
        # The app's own folder means the commit that is being deployed, not the live one.
        if Path(path).is_relative_to(own):
            path = str(Path(path).relative_to(own))
    found = _located(release, path, setting)
    if found.is_file() and prefix == "/":
        raise PikuError(f"{setting}: {path} is a file, and '/' needs a folder")
    if path.startswith("/"):
        return Static(prefix=prefix, path=str(found), file=found.is_file())
    inside = str(PurePosixPath(path))
    before = "" if found.is_file() else str(app.before_link / inside)
    return Static(
        prefix=prefix, path=str(app.live_link / inside), before=before, file=found.is_file()
    )


def _own_folders(app: AppPaths) -> tuple[Path, Path]:
    return app.live_link, app.root.resolve() / "apps" / app.name


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


def _located(release: Release, path: str, setting: str) -> Path:
    """Where a path of a setting really leads; raises PikuError unless everybody may see it."""
    if path.startswith("/"):
        return _in_root(release.app, path, setting)
    checkout = release.checkout.resolve()
    found = real(checkout / path, setting, path)
    if not any(found.is_relative_to(one) for one in (checkout, release.app.data.resolve())):
        raise PikuError(f"{setting}: {path} leads outside the app's folder")
    if not found.exists():
        raise PikuError(f"{setting}: there is no file or folder {path!r} in this commit")
    return found


def _in_root(app: AppPaths, path: str, setting: str) -> Path:
    root, found = app.root.resolve(), real(Path(path), setting, path)
    shown = [app.data, *(entry for folder in _OPEN for entry in (root / folder).iterdir())]
    inside = next((entry for entry in shown if found.is_relative_to(entry.resolve())), None)
    if inside is None:
        raise PikuError(
            f"{setting}: {path} is outside what may be shown",
            hint=f"give a path below an app's folder in {', '.join(_OPEN)} of {root}",
        )
    if not found.exists():
        if inside != app.data:
            raise PikuError(f"{setting}: there is no file or folder {path}")
        _make(found, setting, path)
    # Through the link to another app's live release, not into the checkout that it leads to today.
    return inside / found.relative_to(inside.resolve())


def hidden(app: AppPaths, static: Sequence[Static]) -> Iterator[str]:
    """The addresses of files in an app's top folder that nobody may see."""
    apps = [folder.parent for folder in _own_folders(app)]
    for one in static:
        if Path(one.path).parent in apps:
            yield from (f"{one.prefix.rstrip('/')}/{name}" for name in _HIDDEN)


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
