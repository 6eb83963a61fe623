"""Taking an app out of service for a while, and back."""

from __future__ import annotations

import time

from piku.deploy import converge, records
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.serve import maintenance
from piku.serve.maintenance import Maintenance


def on(paths: Paths, app: AppPaths, by: str, retry_after: int, output: Output) -> None:
    """Have nginx answer 503 for the app, whatever is deployed meanwhile."""
    already = maintenance.state(app)
    since = already.since if already else time.time()
    maintenance.begin(app, Maintenance(since=since, by=by, retry_after=retry_after))
    converge.update_nginx(paths)
    if _is_served(app):
        output.step(f"{app.name} answers 503 until `piku maintenance:off {app.name}`")
    else:
        output.step(f"{app.name} is in maintenance: it answers 503 as soon as nginx serves it")


def off(paths: Paths, app: AppPaths, output: Output) -> None:
    """Have nginx pass requests to the app again."""
    if maintenance.state(app) is None:
        output.step(f"{app.name} is not in maintenance")
        return
    maintenance.end(app)
    converge.update_nginx(paths)
    output.step(f"{app.name} answers again")


def _is_served(app: AppPaths) -> bool:
    live = records.live(app)
    return live is not None and live.site is not None
