"""Where the processes of an app on the cluster are: for nginx, and for a person."""

from collections.abc import Iterator

from piku.deploy import releases
from piku.errors import PikuError
from piku.extras.swarm import service
from piku.extras.swarm.api import Engine
from piku.nginx.directives import d
from piku.nginx.site import Additions, Site
from piku.paths import AppPaths, Paths

# A node that does not answer is left out for that long: connecting to it would cost each request
# the first time limit below.
_REST = "5s"
# What could not be sent goes to the next node; an answer that takes longer is not asked for twice.
_NEXT = (
    d("proxy_connect_timeout", "2s"),
    d("proxy_next_upstream", "error", "timeout"),
    d("proxy_next_upstream_timeout", "10s"),
)


def additions(_paths: Paths, app: AppPaths, site: Site) -> Additions | None:
    """The nodes and ports of the live processes, in place of those of this server."""
    if not service.is_chosen(site.values) or not site.upstreams:
        return None
    live = releases.live(app)
    placed = [
        process.now(app).address for process in (live.processes if live else ()) if process.port
    ]
    servers = [d("server", each, "max_fails=1", f"fail_timeout={_REST}") for each in placed if each]
    return Additions(servers=tuple(servers), proxy=_NEXT)


def notes(paths: Paths, app: AppPaths) -> Iterator[str]:
    """On which node each process of an app is, and in which state."""
    if not service.marker(app).exists():
        return
    try:
        engine = Engine.of(paths)
        nodes = {node["ID"]: node for node in engine.call("GET", "/nodes")}
        live = releases.live(app)
        for process in live.processes if live else ():
            tasks = engine.tasks(process.vassal(app.name)) if process.elsewhere else []
            for task in tasks:
                if task["DesiredState"] != "running":
                    continue
                node = nodes.get(task.get("NodeID"), {})
                where = node.get("Description", {}).get("Hostname", "no node yet")
                state = task["Status"]["State"]
                state += f" ({task['Status']['Err']})" if task["Status"].get("Err") else ""
                yield f"{process.title}: {state} on {where}"
    except PikuError as error:
        yield f"It is unknown which nodes run {app.name}: {error.message}"


def findings(paths: Paths, app: AppPaths) -> Iterator[tuple[str, str]]:
    """What is wrong with the cluster of an app, and the fix."""
    if not service.marker(app).exists():
        return
    try:
        nodes = Engine.of(paths).call("GET", "/nodes")
    except PikuError as error:
        yield f"{app.name} runs on a cluster: {error.message}", error.hint or "piku cluster:init"
        return
    for node in nodes:
        if node["Status"]["State"] != "ready":
            name = node["Description"]["Hostname"]
            yield f"the node {name} does not answer", f"look at docker.service on {name}"
