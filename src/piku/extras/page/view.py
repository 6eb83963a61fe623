"""What the page shows, and writing its files."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from piku import files, procfs
from piku.deploy import releases
from piku.deploy.releases import FAILED, Release
from piku.errors import PikuError
from piku.extra import hooks
from piku.extras.page import html
from piku.extras.page.html import Series
from piku.nginx import service
from piku.nginx.directives import d
from piku.nginx.site import Additions, Site
from piku.operate import ps
from piku.operate.ps import Row
from piku.paths import TEMPLATES, AppName, AppPaths, Paths
from piku.tls import certificate
from piku.uwsgi import emperor

_LINES = 30  # of a build that failed
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_DAY = 86400  # seconds
_BAD = ("crashing", "down", "unknown")


@dataclass(frozen=True, kw_only=True)
class AppView:
    """One app. `state` is that of its worst process; `days` its certificate is still valid for,
    None without one; `log` the last lines of the last deploy, if that failed; `history` has a
    title, a span of seconds, and the figures of that span."""

    name: str
    state: str
    release: int | None = None
    url: str = ""
    rows: Sequence[Row] = ()
    days: int | None = None
    error: str = ""
    deploys: Sequence[Release] = ()
    log: Sequence[str] = ()
    history: Sequence[tuple[str, int, tuple[int, Series]]] = ()

    @property
    def memory(self) -> int:
        """Bytes of all its processes."""
        return sum(row.memory for row in self.rows)

    @property
    def day(self) -> Series:
        """Figures of the last day by their names; none where nothing is measured."""
        return next((series for _, _, (_, series) in self.history), {})


@dataclass(frozen=True, kw_only=True)
class ServerView:
    """The server and its apps at `now`; sizes are in bytes."""

    name: str
    now: int
    load: float
    memory: int
    available: int
    disk: int
    free: int
    apps: Sequence[AppView]


def record(paths: Paths) -> Path:
    """The file with the name of the app that is the page."""
    return paths.root / "page"


def page(paths: Paths) -> str:
    """The app that is the page, or nothing."""
    return files.read(record(paths)).strip()


def collect(paths: Paths) -> ServerView:
    """Look at everything."""
    now, own = int(time.time()), page(paths)
    usage = shutil.disk_usage(paths.root)
    found = [one for one in ps.of_all(paths, emperor.observe(paths)) if one.app != own]
    return ServerView(
        name=os.uname().nodename,
        now=now,
        load=os.getloadavg()[0],
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        available=procfs.available_memory(),
        disk=usage.total,
        free=usage.free,
        apps=[_app(paths, one) for one in found],
    )


def _app(paths: Paths, found: ps.AppState) -> AppView:
    app = paths.app(AppName(found.app))
    try:
        url, days = _address(paths, app)
    except PikuError as error:
        return AppView(name=found.app, state=ps.UNKNOWN, error=error.message)
    deploys = releases.releases(app)[:5]
    states = {row.state for row in found.processes}
    failed = deploys and deploys[0].outcome == FAILED
    return AppView(
        name=found.app,
        state=next((one for one in _BAD if one in states), found.state),
        release=found.release,
        url=url,
        rows=found.processes,
        days=days,
        error=found.error,
        deploys=deploys,
        log=files.read(app.build_log).splitlines()[-_LINES:] if failed else (),
        history=[
            (title, span, each(paths, app, span))
            for title, span in (("Last day", _DAY), ("Last month", 30 * _DAY))
            for each in hooks("history")
        ],
    )


def _address(paths: Paths, app: AppPaths) -> tuple[str, int | None]:
    live = releases.live(app)
    if live is None or live.site is None:
        return "", None
    left = certificate.certificate(app, live.site.certified).not_after - time.time()
    return service.url(paths, live.site), int(left // 86400)


def additions(paths: Paths, app: AppPaths, _site: Site) -> Additions | None:
    """Headers of the page, by which it may do nothing but look as it does."""
    if page(paths) != app.name:
        return None
    headers = (d("add_header", name, text, "always") for name, text in _HEADERS.items())
    return Additions(headers=tuple(headers))


def periodic(paths: Paths) -> None:
    """Write the page anew, if there is one; the pages of apps that are gone go."""
    if not (own := page(paths)):
        return
    place = paths.app(AppName(own)).data
    if not place.is_dir():
        return
    view = collect(paths)
    texts = {
        "index.html": html.overview(view),
        "style.css": (TEMPLATES / "page.css").read_text(),
        "metrics.prom": html.prometheus(view),
        **{f"app-{app.name}.html": html.app_page(view, app) for app in view.apps},
    }
    for name, text in texts.items():
        if files.peek(place / name) != text:
            files.write(place / name, text, mode=0o640)
    files.discard(file for file in place.glob("app-*.html") if file.name not in texts)
