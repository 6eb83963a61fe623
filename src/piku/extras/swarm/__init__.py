"""Apps on several machines, by Docker Swarm (docs/scaling-out.md).

Every start of a process type is a Swarm service, and each of its tasks has a vassal of the emperor
that watches it: `agent` starts the service, copies the task's log, keeps the address at which it is
reached, and removes the service in the end. So the core's deploy, scale, logs and stop work as they
are.
`service` says what is to run, `site` tells nginx where, `api` speaks to the engine.
"""

from piku.extra import Extra

_SERVICE, _COMMANDS = "piku.extras.swarm.service:", "piku.extras.swarm.commands:"

EXTRA = Extra(
    name="swarm",
    settings="piku.extras.swarm.settings:SETTINGS",
    commands={
        "cluster:init": f"{_COMMANDS}init",
        "cluster:join": f"{_COMMANDS}join",
        "cluster:leave": f"{_COMMANDS}leave",
        "cluster:nodes": f"{_COMMANDS}nodes",
    },
    engine=f"{_SERVICE}is_chosen",
    check=f"{_SERVICE}check",
    wrap=f"{_SERVICE}wrap",
    one_off="piku.extras.swarm.one_off:argv",
    nginx="piku.extras.swarm.site:additions",
    notes="piku.extras.swarm.site:notes",
    findings="piku.extras.swarm.site:findings",
    reconciled="piku.extras.swarm.sweep:reconciled",
    destroyed="piku.extras.swarm.sweep:destroyed",
    periodic="piku.extras.swarm.sweep:periodic",
)
