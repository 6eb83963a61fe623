"""What the page shows, and writing its files."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

from piku import files, locks, procfs
from piku.deploy import releases
from piku.deploy.releases import FAILED, Release
from piku.errors import PikuError
from piku.extra import hooks
from piku.extras import shared
from piku.extras.page import html
from piku.extras.page.headers import LOCK, page
from piku.extras.page.html import Series, Span
from piku.nginx import service
from piku.nginx.site import Site
from piku.operate import ps
from piku.operate.ps import Row
from piku.paths import TEMPLATES, AppName, AppPaths, Paths
from piku.tls import certificate
from piku.uwsgi import emperor

_LINES = 30  # of a build that failed
_DAY, _OLD = 86400, 600  # seconds
_BAD = ("crashing", "down", "unknown")


@dataclass(frozen=True, kw_only=True)
class AppView:
    """One app. `state` is that of its worst process; `days` its certificate is still valid for,
    None without one, `certificate` how it is called where that is no authority's, `expires` whether
    it should have been replaced; `log` the last lines of the last deploy, if that failed; `hour`
    the figures of the last one, none where nothing is measured."""

    name: str
    state: str
    release: int | None = None
    url: str = ""
    rows: Sequence[Row] = ()
    days: int | None = None
    certificate: str = ""
    expires: bool = False
    error: str = ""
    deploys: Sequence[Release] = ()
    log: Sequence[str] = ()
    hour: Series = field(default_factory=dict)

    @property
    def memory(self) -> int:
        """Bytes of all its processes."""
        return sum(row.memory for row in self.rows)

    @property
    def mark(self) -> str:
        """What must not have changed for its page to stay for a while."""
        last = (self.deploys[0].number, self.deploys[0].outcome) if self.deploys else ()
        return f"{self.state} {self.release} {last} {self.error}"


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
    full: bool  # nearly
    apps: Sequence[AppView]


def collect(paths: Paths) -> ServerView:
    """Look at everything."""
    now, own = int(time.time()), page(paths)
    disk, free, full = shared.space(paths.root)
    found = [one for one in ps.of_all(paths, emperor.observe(paths)) if one.app != own]
    return ServerView(
        name=os.uname().nodename,
        now=now,
        load=os.getloadavg()[0],
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        available=procfs.available_memory(),
        disk=disk,
        free=free,
        full=full,
        apps=[_app(paths, one) for one in found],
    )


def _app(paths: Paths, found: ps.AppState) -> AppView:
    app = paths.app(AppName(found.app))
    try:
        live = releases.live(app)
        about = _site(paths, app, live.site) if live and live.site else {}
    except PikuError as error:
        return AppView(name=found.app, state=ps.UNKNOWN, error=error.message)
    deploys = list(islice(releases.releases(app), 5))
    states = {row.state for row in found.processes}
    failed = deploys and deploys[0].outcome == FAILED
    return AppView(
        name=found.app,
        state=next((one for one in _BAD if one in states), found.state),
        release=found.release,
        rows=found.processes,
        error=found.error,
        deploys=deploys,
        log=files.read(app.build_log).splitlines()[-_LINES:] if failed else (),
        hour=next((each(paths, app, 3600)[1] for each in hooks("history")), {}),
        **about,
    )


def _site(paths: Paths, app: AppPaths, site: Site) -> dict[str, Any]:
    """The address of an app, and its certificate."""
    found, now = certificate.certificate(app, site.all_names), time.time()
    return {
        "url": service.url(paths, site),
        "days": int((found.not_after - now) // 86400),
        "certificate": "" if found.trusted else found.source,
        "expires": found.ends_soon(now),
    }


def periodic(paths: Paths) -> None:
    """Write the page anew, if there is one; the pages of apps that are gone go."""
    if not page(paths):
        return
    # Two at once could leave the older page, and one that is being removed must not come back.
    with locks.lock(paths.uwsgi / LOCK, ""):
        if (own := page(paths)) and (place := paths.app(AppName(own)).data).is_dir():
            _write(paths, place)


def _write(paths: Paths, place: Path) -> None:
    view = collect(paths)
    texts = {
        "index.html": html.overview(view),
        "style.css": (TEMPLATES / "page.css").read_text(),
        "metrics.prom": html.prometheus(view),
    }
    known = {place / f"app-{app.name}.html": app for app in view.apps}
    for file, app in known.items():
        if not _is_fresh(file, app, view.now):
            texts[file.name] = html.app_page(view, app, _history(paths, app.name))
    for name, text in texts.items():
        if files.peek(place / name) != text:
            files.write(place / name, text, mode=0o640)
    files.discard(file for file in place.glob("app-*.html") if file not in known)


def _is_fresh(file: Path, app: AppView, now: int) -> bool:
    """Whether an app's page may stay: its plots take their time, and room on a card that wears."""
    text = files.peek(file) or ""
    return escape(app.mark) in text and abs(now - file.stat().st_mtime) < _OLD


def _history(paths: Paths, name: str) -> Iterator[Span]:
    """The figures of an app, for its plots."""
    for title, seconds in (("Last day", _DAY), ("Last month", 30 * _DAY)):
        for each in hooks("history"):
            step, series = each(paths, paths.app(AppName(name)), seconds)
            yield Span(title=title, seconds=seconds, step=step, series=series)
