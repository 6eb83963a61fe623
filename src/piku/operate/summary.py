"""All apps of the server at one look."""

from __future__ import annotations

from dataclasses import dataclass

from piku.deploy import releases
from piku.errors import PikuError
from piku.operate import ps
from piku.operate.ps import Row, States
from piku.paths import AppPaths, Paths

UP, ASLEEP, STOPPED, NEVER, NOTHING, UNKNOWN = (
    "up", "asleep", "stopped", "never live", "no process", "unknown",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Summary:
    """One app: "up" when it runs or nginx serves its files, "unknown" when `error` says why."""

    app: str
    state: str
    release: int | None = None
    processes: tuple[Row, ...] = ()
    error: str = ""


def of_all(paths: Paths, states: States | None) -> list[Summary]:
    """Every app, by name. One whose records are damaged does not hide the others."""
    found = []
    for name in paths.app_names():
        try:
            found.append(of(paths, paths.app(name), states))
        except (PikuError, OSError) as error:
            message = getattr(error, "message", str(error))
            found.append(Summary(app=name, state=UNKNOWN, error=message))
    return found


def of(paths: Paths, app: AppPaths, states: States | None) -> Summary:
    """One app; raises PikuError when its records are damaged."""
    live = releases.live(app)
    rows = tuple(ps.rows(paths, app, states))
    if rows:
        state = ASLEEP if all(row.state == "asleep" for row in rows) else UP
    elif live is None or live.stopped:
        state = NEVER if live is None else STOPPED
    else:
        state = UP if live.site and live.site.static else NOTHING
    release = live.release if live else None
    return Summary(app=app.name, state=state, release=release, processes=rows)
