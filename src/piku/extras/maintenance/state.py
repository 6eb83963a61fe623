"""The record of an app's maintenance, and what nginx answers meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from piku import files, records
from piku.deploy.deployment import Deployment
from piku.nginx import vhost
from piku.nginx.directives import d, location
from piku.nginx.site import Additions, Site
from piku.paths import AppPaths, Paths


@dataclass(frozen=True, kw_only=True)
class Maintenance:
    """Since when (seconds of the epoch), by whom, and after how many seconds clients may retry."""

    since: float
    by: str
    retry_after: int


def _record(app: AppPaths) -> Path:
    return app.envs / "maintenance.json"


def state(app: AppPaths) -> Maintenance | None:
    """The app's maintenance, if it is on; raises PikuError when the record is damaged."""
    return records.load(_record(app), Maintenance)


def begin(app: AppPaths, maintenance: Maintenance) -> None:
    records.save(_record(app), maintenance)


def end(app: AppPaths) -> None:
    files.remove(_record(app))


def additions(_paths: Paths, app: AppPaths, site: Site) -> Additions | None:
    """What nginx answers while the app is in maintenance: 503 with its own page or ours."""
    now = state(app)
    if now is None:
        return None
    page = str(resources.files("piku") / "templates" / "maintenance.html")
    answer = [
        d("add_header", "Retry-After", now.retry_after, "always"),
        *vhost.error_page(503, dict(site.error_pages).get(503, page)),
        location("/", [d("return", 503)]),
    ]
    return Additions(server=tuple(answer), closed=True)


def findings(_paths: Paths, app: AppPaths) -> Iterator[tuple[str, str]]:
    """What the doctor says while the app is in maintenance, and the fix."""
    if (now := state(app)) is not None:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(now.since))
        yield f"it is in maintenance since {since}, by {now.by}", f"piku maintenance:off {app.name}"


def warnings(deployment: Deployment) -> list[str]:
    """What a push says while the app is in maintenance."""
    name = deployment.app.name
    if state(deployment.app) is None:
        return []
    return [f"{name} is in maintenance: `piku maintenance:off {name}` ends it"]
