"""What a person is told of a release that is live, or of what runs when one failed."""

from __future__ import annotations

from piku.app import settings
from piku.deploy import releases
from piku.deploy.deployment import Deployment
from piku.nginx import service
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor


def what_runs(paths: Paths, app: AppPaths) -> str:
    """A sentence on what serves now."""
    live = releases.live(app)
    if live is None:
        return "nothing of this app runs yet"
    if not live.processes and not (live.site and live.site.static):
        return f"v{live.release} stays as it was, stopped"
    name = f"v{live.release} ({releases.load_release(app, live.release).commit[:8]})"
    if not emperor.is_running(paths):
        return f"{name} stays the live one, and starts when piku does"
    return f"{name} still runs, as before"


def live(deployment: Deployment) -> None:
    """Say that the release is live, how long it took, and where it answers."""
    output, plan, app = deployment.output, deployment.plan, deployment.app
    output.step(f"v{deployment.release.number} is live after {deployment.progress.summary()}")
    if plan.jobs:
        output.detail(f"Scheduled: {', '.join(plan.jobs)}; see when with: piku cron {app.name}")
    record = releases.live(app)
    serves = plan.instances if plan.serving else "static" in deployment.revision.procfile
    if record is None or not serves:
        return
    if names := settings.SERVER_NAME.read(deployment.values):
        secure = settings.HTTPS_ONLY.read(deployment.values)
        url = service.platform(deployment.paths).url(names[0], secure=secure)
        output.detail(f"It answers at {url}")
        return
    where = next((process.address for process in record.processes if process.address), "")
    if where:
        output.detail(
            f"It listens on {where}, and nginx does not serve it yet: give it a name with"
        )
        output.detail(f"  piku config:set {app.name} NGINX_SERVER_NAME=www.example.com")
