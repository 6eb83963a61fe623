"""What an explanation is made of, and what it says."""

from __future__ import annotations

from dataclasses import dataclass

from piku.deploy import health
from piku.deploy import process_config as files
from piku.deploy.releases import Live
from piku.extras.doctor.scene import Scene
from piku.extras.maintenance.state import Maintenance
from piku.nginx.site import Site
from piku.operate import ps
from piku.operate.ps import Row
from piku.paths import AppPaths
from piku.uwsgi import emperor


@dataclass(frozen=True, kw_only=True)
class Why:
    """An explanation; `detail` is evidence."""

    severity: str
    text: str
    fix: str = ""
    detail: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of the app that was asked."""

    scene: Scene
    app: AppPaths
    live: Live
    site: Site
    paused: Maintenance | None

    def rows(self) -> list[Row]:
        """Its processes as they are now: the question may have changed that."""
        return ps.rows(self.scene.paths, self.app, emperor.observe(self.scene.paths))

    @property
    def logs(self) -> str:
        return f"see what it wrote: piku logs {self.app.name} --no-follow"

    def written(self) -> tuple[str, ...]:
        """The last lines of the process that answers."""
        serving = next((one for one in self.live.processes if one.address), None)
        return health.last_lines(files.log_file(self.app, serving), 5) if serving else ()
