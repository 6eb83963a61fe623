"""The record of an app's maintenance, and what nginx answers meanwhile."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from piku import records
from piku.deploy.deployment import Deployment
from piku.nginx.directives import d, location
from piku.nginx.site import Additions, Site
from piku.paths import TEMPLATES, AppPaths, Paths


@dataclass(frozen=True, kw_only=True)
class Maintenance:
    """Since when (seconds of the epoch), by whom, and after how many seconds clients may retry."""

    since: float
    by: str
    retry_after: int


def record(app: AppPaths) -> Path:
    return app.envs / "maintenance.json"


def state(app: AppPaths) -> Maintenance | None:
    """The app's maintenance, if it is on; raises PikuError when the record is damaged."""
    return records.load(record(app), Maintenance)


def additions(_paths: Paths, app: AppPaths, _site: Site) -> Additions | None:
    """While the app is in maintenance, nginx answers 503 with the app's page for it, or ours."""
    now = state(app)
    if now is None:
        return None
    page = str(TEMPLATES / "maintenance.html")
    again = d("add_header", "Retry-After", now.retry_after, "always")
    answer = location("/", [d("return", 503)])
    return Additions(server=(again, answer), pages={503: page}, closed=True)


def findings(_paths: Paths, app: AppPaths) -> Iterator[tuple[str, str]]:
    """What the doctor says while the app is in maintenance, and the fix."""
    if (now := state(app)) is not None:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(now.since))
        yield f"it is in maintenance since {since}, by {now.by}", f"piku maintenance:off {app.name}"


def warnings(deployment: Deployment) -> list[str]:
    """What a push says while the app is in maintenance."""
    name, now = deployment.app.name, state(deployment.app)
    return [f"{name} is in maintenance: `piku maintenance:off {name}` ends it"] if now else []
