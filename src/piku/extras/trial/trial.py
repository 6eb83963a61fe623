"""Loading a release on a socket of its own."""

from piku.deploy import health, instances, process_config, reconcile, releases
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Process
from piku.uwsgi import emperor, ini


def load(deployment: Deployment) -> None:
    """Load the app, and stop it again; raises PikuError with the cause when it does not load."""
    paths, app, plan = deployment.paths, deployment.app, deployment.plan
    if plan.serving not in ini.MODIFIERS or plan.port == "socket":
        return
    deployment.progress.at("loading the app")
    number = releases.next_start(paths)
    deployment.progress.add_start(number)
    address = instances.socket_path(app, number, 1)
    trial = Process(kind=plan.serving, instance=1, start=number, address=address)
    process_config.write(deployment, trial)
    emperor.enable(paths, [trial.vassal(app.name)])
    health.wait_serving(deployment, [trial], 0)
    reconcile.stop(paths, [trial.vassal(app.name)], 0)
    deployment.progress.at("start")
