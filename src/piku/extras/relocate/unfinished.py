"""Renames that have begun."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from piku import records
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.paths import SEPARATOR, Paths

_SUFFIX = f"{SEPARATOR}rename.json"


@dataclass(frozen=True, kw_only=True)
class Rename:
    """A rename that has begun. Without a commit the app was never live; once `moved`, everything
    has the new name, and is to be deployed."""

    old: str
    new: str
    commit: str
    stopped: bool
    moved: bool = False


def record_file(paths: Paths, old: str) -> Path:
    return paths.root / "releases" / f"{old}{_SUFFIX}"


def unfinished(paths: Paths) -> Iterator[Rename]:
    """The renames that have begun, and were cut off; a damaged record concerns its own app."""
    for path in (paths.root / "releases").glob(f"*{_SUFFIX}"):
        with contextlib.suppress(PikuError):
            if found := records.load(path, Rename):
                yield found


def refuse_deploy(deployment: Deployment) -> list[str]:
    """Raise PikuError for an app that is half under one name and half under the other."""
    for one in unfinished(deployment.paths):
        if not one.moved and deployment.app.name in (one.old, one.new):
            hint = f"finish that first: piku apps:rename {one.old} {one.new}"
            raise PikuError(f"{one.old} is being renamed to {one.new}", hint=hint)
    return []
