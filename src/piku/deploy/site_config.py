"""The site of a release that is being deployed."""

from __future__ import annotations

from collections.abc import Sequence

from piku.app import settings
from piku.deploy import releases
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Process
from piku.nginx import site_config
from piku.nginx.site import Site
from piku.nginx.static_files import Release
from piku.paths import AppPaths


def of(deployment: Deployment, served: Sequence[Process]) -> Site | None:
    """The site with these processes behind it; raises PikuError for a setting that is wrong."""
    live = (
        releases.live(deployment.app) if settings.CLOUDFLARE_ACL.read(deployment.values) else None
    )
    release = Release(
        app=deployment.app,
        values=deployment.values,
        checkout=deployment.checkout,
        worker=deployment.revision.procfile.command("static"),
        serving=deployment.plan.serving,
        upstreams=upstreams(deployment.app, served),
        clients=live.site.clients if live and live.site else (),
    )
    return site_config.of(release)


def upstreams(app: AppPaths, served: Sequence[Process]) -> tuple[str, ...]:
    """Where nginx finds these processes. What uWSGI serves is switched by replacing the link that
    nginx connects to, without a reload."""
    return tuple(
        f"unix:{app.socket(process.instance)}" if process.by_socket else process.address
        for process in served
    )
