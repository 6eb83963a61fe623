"""Finding and mending what a command left half done when it was killed or the power went."""

from __future__ import annotations

from piku import effects
from piku.deploy import build, converge, records
from piku.paths import AppPaths, Paths
from piku.serve import emperor


def recover(paths: Paths, app: AppPaths) -> bool:
    """Mend one app, whose lock the caller holds; returns whether there was anything to mend."""
    interrupted = _close_records(app)
    live = records.live(app)
    wanted = live.vassals(app.name) if live else []
    if not interrupted and sorted(wanted) == emperor.enabled(paths, app.name):
        return False
    for folder in build.environments(app):
        if not build.is_built(app, folder.name):
            effects.remove(folder)
    converge.converge(paths, app)
    return True


def _close_records(app: AppPaths) -> bool:
    """Give every release that was being made its outcome: nobody else holds the lock."""
    live = records.live(app)
    found = False
    for number in reversed(records.release_numbers(app)[-20:]):
        release = records.load_release(app, number)
        if release.outcome != records.BUILDING:
            continue
        found = True
        if live is not None and live.release == number:
            records.finish(app, release, records.SUCCEEDED)
        else:
            records.finish(app, release, records.FAILED, f"interrupted at {release.step or 'its start'}")
    return found


def recover_all(paths: Paths) -> None:
    """Before the platform starts: every app as its live record says, with nothing else enabled."""
    for name in paths.app_names():
        app = paths.app(name)
        with effects.lock(app.lock, "starting the platform"):
            _close_records(app)
            converge.converge(paths, app)
    known = set(paths.app_names())
    emperor.disable(paths, [name for name in emperor.enabled(paths) if name.app not in known])
