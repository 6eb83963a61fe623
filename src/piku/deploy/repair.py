"""Finding and mending what a command left half done when it was killed or the power went."""

from __future__ import annotations

from dataclasses import replace

from piku import effects
from piku.deploy import build, converge, records
from piku.deploy.records import Release
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.serve import emperor


def finish(app: AppPaths, release: Release, outcome: str, reason: str = "") -> Release:
    """Record how a release ended. One made of other settings takes them with it."""
    if outcome in (records.SUCCEEDED, records.PREPARED) and release.kind in ("config", "rollback"):
        records.write_settings(app, release.settings)
    done = replace(release, outcome=outcome, reason=reason)
    records.save_release(app, done)
    return done


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
            finish(app, release, records.SUCCEEDED)
        else:
            finish(app, release, records.FAILED, f"interrupted at {release.step or 'its start'}")
    return found


def recover_all(paths: Paths, output: Output) -> None:
    """Before the platform starts: every app as its live record says, with nothing else enabled.

    An app whose records are damaged is named and left alone: it must not keep the others down.
    """
    for name in paths.app_names():
        app = paths.app(name)
        try:
            with effects.lock(app.lock, "starting the platform"):
                _close_records(app)
                converge.converge(paths, app)
        except (PikuError, OSError) as error:
            output.warn(f"{name} could not be brought back: {error}")
    known = set(paths.app_names())
    emperor.disable(paths, [name for name in emperor.enabled(paths) if name.app not in known])
