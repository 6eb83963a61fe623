"""Whether a release would answer where the live one does."""

from piku.app import settings
from piku.deploy import releases
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.nginx.site import Site


def check(deployment: Deployment) -> list[str]:
    """Refuse a push after which nothing would answer at any name of the app; returns no warning."""
    live = releases.live(deployment.app)
    pushed = deployment.release.kind in ("push", "deploy")
    site = live.site if live and not live.stopped else None
    if pushed and site and (lost := _lost(deployment, site)):
        raise PikuError(
            f"{lost}, and {site.names[0]} would be off the air",
            hint=f"if that is meant: piku stop {deployment.app.name}, and push again",
        )
    return []


def _lost(deployment: Deployment, site: Site) -> str:
    """What the release lacks to be served; empty when it lacks nothing."""
    values, procfile = deployment.values, deployment.revision.procfile
    if not settings.SERVER_NAME.read(values):
        return "this commit has no NGINX_SERVER_NAME any more"
    files = "static" in procfile or (not site.serving and settings.STATIC_PATHS.read(values))
    served = procfile.serving or files
    return "" if served else "the Procfile has no web, wsgi or static line any more"
