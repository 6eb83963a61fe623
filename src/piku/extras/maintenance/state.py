"""Maintenance: an app that answers 503 to everybody until it is over, whatever is deployed meanwhile."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from piku import files
from piku.paths import AppPaths


@dataclass(frozen=True, kw_only=True)
class Maintenance:
    """Since when (seconds of the epoch), by whom, and after how many seconds clients may ask again."""

    since: float
    by: str
    retry_after: int


def state(app: AppPaths) -> Maintenance | None:
    """The app's maintenance, if it is on."""
    stored = files.read_json(app.maintenance)
    return Maintenance(**stored) if stored else None


def begin(app: AppPaths, maintenance: Maintenance) -> None:
    files.write_json(app.maintenance, asdict(maintenance), durable=True)


def end(app: AppPaths) -> None:
    files.remove(app.maintenance)
