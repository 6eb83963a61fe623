"""All apps of the server at one look: what runs of each, what it takes, and what is left of the machine."""

from __future__ import annotations

from dataclasses import dataclass

from piku import procfs
from piku.deploy import releases
from piku.errors import PikuError
from piku.extras.limits import limits
from piku.extras.limits.limits import Usage
from piku.extras.status import requests
from piku.operate import ps
from piku.operate.ps import Row, Sight
from piku.paths import AppPaths, Paths

UP, ASLEEP, STOPPED, NEVER, NOTHING, UNKNOWN = (
    "up", "asleep", "stopped", "never live", "no process", "unknown",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One app. It is "up" when anything of it runs or nginx serves its files, and "unknown" when `error`
    says why nobody can tell. `requests_per_minute` is of all its processes and files, None if nothing
    counts them; `counted_by_nginx` is the part of it that no process can be credited with."""

    app: str
    state: str
    release: int | None = None
    requests_per_minute: int | None = None
    counted_by_nginx: int | None = None
    processes: tuple[Row, ...] = ()
    error: str = ""
    limits: Usage | None = None


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Sums over all apps; memory in bytes, `available` is what programs could still use."""

    apps: int
    processes: int
    memory: int
    available: int
    requests_per_minute: int


def of_all(paths: Paths, sight: Sight) -> list[Summary]:
    """Every app, by name. One whose records are damaged does not hide the others."""
    found = []
    for name in paths.app_names():
        try:
            found.append(of(paths.app(name), sight))
        except (PikuError, OSError) as error:
            found.append(
                Summary(app=name, state=UNKNOWN, error=getattr(error, "message", str(error)))
            )
    return found


def of(app: AppPaths, sight: Sight) -> Summary:
    """One app; raises PikuError when its records are damaged."""
    live = releases.live(app)
    rows = ps.rows(app, live, sight)
    if live is None:
        return Summary(app=app.name, state=UP if rows else NEVER, processes=tuple(rows))
    by_nginx = requests.by_nginx(live, sight.when)
    counted = [
        count
        for count in (by_nginx, *(row.requests_per_minute for row in rows))
        if count is not None
    ]
    return Summary(
        app=app.name,
        state=_state(rows, stopped=live.stopped, files=bool(live.site and live.site.static)),
        release=live.release,
        requests_per_minute=sum(counted) if counted else None,
        counted_by_nginx=by_nginx,
        processes=tuple(rows),
        limits=limits.usage(app, live),
    )


def _state(rows: list[Row], *, stopped: bool, files: bool) -> str:
    if rows and all(row.state == "asleep" for row in rows):
        return ASLEEP
    if rows:
        return UP
    return STOPPED if stopped else UP if files else NOTHING


def totals(apps: list[Summary]) -> Totals:
    """The sums."""
    running = [row for app in apps for row in app.processes if row.pid]
    return Totals(
        apps=len(apps),
        processes=len(running),
        memory=sum(row.memory for row in running),
        available=procfs.available_memory(),
        requests_per_minute=sum(app.requests_per_minute or 0 for app in apps),
    )
