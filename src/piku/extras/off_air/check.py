"""Whether a release would answer where the live one does."""

from __future__ import annotations

from piku.app import settings
from piku.deploy import releases
from piku.deploy.deployment import Deployment
from piku.errors import PikuError


def check(deployment: Deployment) -> list[str]:
    """Refuse a push after which nothing would answer at any name of the app; returns no warning."""
    live = releases.live(deployment.app)
    pushed = deployment.release.kind in ("push", "deploy")
    if pushed and live and live.site and not live.stopped and (lost := _lost(deployment)):
        raise PikuError(
            f"{lost}, and {live.site.names[0]} would be off the air",
            hint=f"if that is meant: piku stop {deployment.app.name}, and push again",
        )
    return []


def _lost(deployment: Deployment) -> str:
    """What the release lacks to be served; empty when it lacks nothing."""
    values, procfile = deployment.values, deployment.revision.procfile
    if not settings.SERVER_NAME.read(values):
        return "this commit has no NGINX_SERVER_NAME any more"
    served = procfile.serving or "static" in procfile or settings.STATIC_PATHS.read(values)
    return "" if served else "the Procfile has no web, wsgi or static line any more"
