"""Which app is the page, and what nginx says with it: loaded by every deploy, so it is small."""

from pathlib import Path

from piku import files, locks
from piku.nginx.directives import d
from piku.nginx.site import Additions, Site
from piku.paths import AppPaths, Paths

LOCK = "page.lock"  # held while the page is written or removed
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def record(paths: Paths) -> Path:
    """The file with the name of the app that is the page."""
    return paths.root / "page"


def page(paths: Paths) -> str:
    """The app that is the page, or nothing."""
    return files.read(record(paths)).strip()


def additions(paths: Paths, app: AppPaths, _site: Site) -> Additions | None:
    """Headers of the page, by which it may do nothing but look as it does."""
    if page(paths) != app.name:
        return None
    headers = (d("add_header", name, text, "always") for name, text in _HEADERS.items())
    return Additions(headers=tuple(headers))


def destroyed(paths: Paths, app: AppPaths) -> None:
    """Forget the page with its app, whose name another may get."""
    if page(paths) == app.name:  # its data is nothing but what was written for the page
        with locks.lock(paths.uwsgi / LOCK, ""):
            files.discard([record(paths), app.data])
