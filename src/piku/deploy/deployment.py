"""What every step on the way to a live release works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from piku.deploy import app_env
from piku.deploy.process_plan import Plan
from piku.deploy.progress import Progress
from piku.deploy.releases import Process, Release
from piku.deploy.revision import Source
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.runtimes.base import Context


@dataclass(frozen=True, kw_only=True)
class Job:
    """One release of one app, on its way to being live."""

    paths: Paths
    app: AppPaths
    release: Release
    source: Source
    plan: Plan
    output: Output
    progress: Progress

    @property
    def values(self) -> Mapping[str, str]:
        """The settings, all layers together."""
        return self.source.values

    @property
    def checkout(self) -> Path:
        """The folder of the release's code."""
        return self.app.releases / self.source.checkout

    @property
    def context(self) -> Context:
        """What the runtime may look at."""
        return self.source.context(self.app)

    def variables(self, process: Process | None = None) -> dict[str, str]:
        """The whole environment of a build, or of a process."""
        return app_env.variables(self.paths, self.app, self.release, self.source, process)
