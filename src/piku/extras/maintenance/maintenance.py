"""Taking an app out of service for a while, and back."""

from __future__ import annotations

import time

from piku.deploy import reconcile, releases
from piku.extras.maintenance import state
from piku.extras.maintenance.state import Maintenance
from piku.output import Output
from piku.paths import AppPaths, Paths


def on(paths: Paths, app: AppPaths, by: str, retry_after: int, output: Output) -> None:
    """Have nginx answer 503 for the app, whatever is deployed meanwhile."""
    already = state.state(app)
    since = already.since if already else time.time()
    state.begin(app, Maintenance(since=since, by=by, retry_after=retry_after))
    reconcile.update_nginx(paths)
    if _is_served(app):
        output.step(f"{app.name} answers 503 until `piku maintenance:off {app.name}`")
    else:
        output.step(f"{app.name} is in maintenance: it answers 503 as soon as nginx serves it")


def off(paths: Paths, app: AppPaths, output: Output) -> None:
    """Have nginx pass requests to the app again."""
    if state.state(app) is None:
        output.step(f"{app.name} is not in maintenance")
        return
    state.end(app)
    reconcile.update_nginx(paths)
    output.step(f"{app.name} answers again")


def _is_served(app: AppPaths) -> bool:
    live = releases.live(app)
    return live is not None and live.site is not None
