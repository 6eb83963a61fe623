"""What every step on the way to a live release works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from piku.deploy import app_env, revision
from piku.deploy.process_plan import Plan
from piku.deploy.progress import Progress
from piku.deploy.releases import Process, Release
from piku.deploy.revision import Revision
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.runtimes.base import Context


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One release of one app, on its way to being live."""

    paths: Paths
    app: AppPaths
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
    def checkout(self) -> Path:
        """The folder of the release's code."""
        return self.app.releases / self.release.checkout

    @property
    def context(self) -> Context:
        """What the runtime may look at."""
        found, release = self.revision, self.release
        return revision.context(
            self.app, found.tree, found.values, release.checkout, release.environment
        )

    def variables(self, process: Process | None = None) -> dict[str, str]:
        """The whole environment of a build, or of a process."""
        return app_env.variables(self.paths, self.app, self.release, self.revision, process)
