"""A release on its way to being live, and which step it is at."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from piku.deploy import releases, revision
from piku.deploy.process_plan import Plan
from piku.deploy.releases import Live, Process, Release
from piku.deploy.revision import Revision
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.runtimes.base import Context

# What a person reads when a deploy ends in this step.
STEPS = {
    "read": "reading the commit",
    "checkout": "checking out the code",
    "preflight": "the preflight command",
    "build": "building its environment",
    "release": "the release command",
    "configuration": "its configuration",
    "start": "starting its processes",
    "workers": "starting its workers",
    "switch": "switching over",
}


class Progress:
    """The steps of one deploy, on disk so that a killed one can be explained; `record` is as last
    written."""

    def __init__(self, app: AppPaths, release: Release) -> None:
        self._app = app
        self.record = release
        self._times: list[tuple[str, float]] = []
        self._begun = time.monotonic()

    def at(self, step: str) -> None:
        """Note that this step begins now."""
        self._times.append((step, time.monotonic()))
        if self.record.outcome in (releases.BUILDING, releases.BUILT):
            # Right before the commit the disk must have what that refers to.
            self.update(durable=step == "switch", step=step)

    def update(self, *, durable: bool = False, **changes: Any) -> Release:
        """Write changed fields to the release's record."""
        self.record = replace(self.record, **changes)
        releases.save_release(self._app, self.record, durable=durable)
        return self.record

    def add_start(self, number: int) -> None:
        """Note a start of the release's processes: by its number their logs are found."""
        self.update(starts=(*self.record.starts, number))

    def summary(self) -> str:
        """How long it took, in all and by step, in seconds."""
        spans = [(step, end - begun) for step, begun, end in self.spans()]
        steps = (f"{step} {seconds:.2f}" for step, seconds in spans if seconds >= 0.005)
        return f"{time.monotonic() - self._begun:.2f} s ({', '.join(steps)})"

    def spans(self) -> list[tuple[str, float, float]]:
        """The steps so far, each with its beginning and end (time.monotonic())."""
        ends = [*(begun for _, begun in self._times[1:]), time.monotonic()]
        return [(step, begun, end) for (step, begun), end in zip(self._times, ends, strict=True)]


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What every step on the way works with."""

    paths: Paths
    app: AppPaths
    live: Live | None  # what serves until this one does
    release: Release
    revision: Revision
    plan: Plan
    output: Output
    progress: Progress

    @property
    def values(self) -> Mapping[str, str]:
        """The settings, all layers together."""
        return self.revision.values

    @property
    def context(self) -> Context:
        """What the runtime may look at."""
        return self.revision.context

    @property
    def checkout(self) -> Path:
        """The folder of the release's code."""
        return self.context.checkout

    def variables(self, process: Process | None = None) -> dict[str, str]:
        """The whole environment of a build, or of a process."""
        return revision.process_variables(
            self.paths, self.app, self.release, self.revision, process
        )
