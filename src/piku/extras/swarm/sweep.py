"""Removing services whose vassal is gone: it was killed before it could remove them."""

import contextlib

from piku import files, locks
from piku.deploy import recovery, releases
from piku.deploy.releases import Live
from piku.errors import PikuError
from piku.extras.swarm import service
from piku.extras.swarm.api import Engine, group, piku_id
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor


def reconciled(paths: Paths, app: AppPaths, live: Live | None) -> None:
    """Remove the app's services that no vassal stands for; without an answer, nothing. Before the
    platform starts, the engine may not be up yet either: `periodic` sees to it then."""
    with contextlib.suppress(PikuError):
        if emperor.is_running(paths):
            _sweep(paths, app, live)


def _sweep(paths: Paths, app: AppPaths, live: Live | None) -> None:
    if not service.marker(app).exists() or (running := emperor.observe(paths)) is None:
        return
    wanted = {group(name) for name in (*emperor.enabled(paths, app.name), *running)}
    engine, left = Engine.of(paths), 0
    labels = [f"piku={piku_id(paths)}", f"piku.app={app.name}"]
    for what in ("services", "secrets"):
        for one in engine.listing(what, label=labels):
            if one["Spec"]["Labels"]["piku.group"] in wanted:
                left += 1
            else:
                engine.remove(what, one["ID"])
    # Scheduled jobs need their image, and no service.
    own = live.processes if live else ()
    if not left and not any(process.elsewhere or process.schedules for process in own):
        files.remove(service.marker(app))
        return
    known = {f"v{number}" for number in releases.release_numbers(app)}
    files.discard(file for file in service.marker(app).iterdir() if file.stem not in known)


def periodic(paths: Paths) -> None:
    """The same for what a deploy had begun when it was killed, or while the engine was down."""
    for app in map(paths.app, paths.app_names()):
        if not service.marker(app).exists():
            continue
        held = locks.lock(app.lock, "removing services", patient=False)
        with contextlib.suppress(PikuError), held as killed:  # also of one that is damaged
            recovery.recover(paths, app, killed=killed)
            _sweep(paths, app, releases.live(app))


def destroyed(paths: Paths, app: AppPaths) -> None:
    _sweep(paths, app, None)
