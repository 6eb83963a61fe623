"""Removing services whose vassal is gone: it was killed before it could remove them."""

from __future__ import annotations

from piku import files
from piku.deploy import releases
from piku.deploy.releases import Live
from piku.extras.swarm import agent, service
from piku.extras.swarm.api import Engine, group, piku_id
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor


def reconciled(paths: Paths, app: AppPaths, live: Live | None) -> None:
    """Remove the app's services that no vassal stands for; without an answer, nothing."""
    if not service.marker(app).exists():
        return
    running = emperor.observe(paths)
    if running is None:
        return
    wanted = {group(name) for name in (*emperor.enabled(paths, app.name), *running)}
    engine, left = Engine.of(paths), 0
    for one in engine.listing("services", label=[f"piku={piku_id(paths)}", f"piku.app={app.name}"]):
        name = one["Spec"]["Labels"]["piku.group"]
        left += name in wanted
        if name not in wanted:
            agent.remove(engine, one["ID"], name)
    if not left and not any(process.elsewhere for process in (live.processes if live else ())):
        files.remove(service.marker(app))
        return
    known = {f"v{number}" for number in releases.release_numbers(app)}
    files.discard(file for file in service.marker(app).iterdir() if file.name not in known)


def destroyed(paths: Paths, app: AppPaths) -> None:
    reconciled(paths, app, None)
