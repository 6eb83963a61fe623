"""Finding and mending what a command left half done when it was killed or the power went."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import replace

from piku import files, locks, procfs
from piku.deploy import build, reconcile, releases, repository, switch
from piku.deploy.releases import Release
from piku.errors import PikuError
from piku.extras.idle import sleeping
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor


def finish(app: AppPaths, release: Release, outcome: str, reason: str = "") -> Release:
    """Record how a release ended. One made of other settings takes them with it."""
    if outcome in (releases.SUCCEEDED, releases.PREPARED) and release.kind in (
        "config",
        "rollback",
    ):
        releases.write_settings(app, release.settings)
    done = replace(release, outcome=outcome, reason=reason)
    releases.save_release(app, done)
    return done


def recover(paths: Paths, app: AppPaths, *, broken_off: bool) -> None:
    """Mend one app, whose lock the caller holds and another command did not come to its end with."""
    repository.remove_stale_locks(app)
    interrupted = _close_records(app)
    live = releases.live(app)
    as_it_was = sorted(sleeping.wanted(app, live)) == emperor.enabled(paths, app.name)
    if not broken_off and not interrupted and as_it_was:
        return
    _end_orphans(paths, app, interrupted)
    _remove_half_built(app)
    switch.go_back(paths, app)


def _remove_half_built(app: AppPaths) -> None:
    for folder in build.environments(app):
        if not build.is_built(app, folder.name):
            files.remove(folder)


def _end_orphans(paths: Paths, app: AppPaths, numbers: list[int]) -> None:
    """End what a killed deploy had started, such as a build: it would go on writing."""
    emperor_pid = emperor.pid(paths)
    managed = {os.getpid(), *(procfs.descendants(emperor_pid) if emperor_pid else ())}
    for number in numbers:
        for pid in procfs.with_variables({"APP": app.name, "PIKU_RELEASE": str(number)}):
            if pid not in managed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _close_records(app: AppPaths) -> list[int]:
    """Give every release that was being made its outcome: nobody else holds the lock. Returns those
    that will not be."""
    live = releases.live(app)
    found = []
    for number in reversed(releases.release_numbers(app)[-20:]):
        try:
            release = releases.load_release(app, number)
        except PikuError:
            continue  # damaged, and not the live one: it can only be left behind
        if release.outcome != releases.BUILDING:
            continue
        if live is not None and live.release == number:
            finish(app, release, releases.SUCCEEDED)
        else:
            finish(app, release, releases.FAILED, f"interrupted at {release.step or 'its start'}")
            found.append(number)
    return found


def _tell_what_is_lost(app: AppPaths, output: Output) -> None:
    """A backup may be without what can be built anew."""
    live = releases.live(app)
    if live is not None and (lost := build.lost(app, releases.load_release(app, live.release))):
        output.warn(f"{app.name} cannot run: the {lost} of v{live.release} is not here")
        output.warn(f"make it anew: piku deploy {app.name}")


def recover_all(paths: Paths, output: Output) -> None:
    """Before the platform starts: every app as its live record says, with nothing else enabled.

    An app whose records are damaged is named and left alone: it must not keep the others down.
    """
    for name in paths.app_names():
        app = paths.app(name)
        try:
            with locks.lock(app.lock, "starting the platform", patient=False):
                _close_records(app)
                _remove_half_built(app)
                reconcile.converge(paths, app)
                _tell_what_is_lost(app, output)
        except locks.LockHeld as busy:
            # That deploy needs the platform to go on, and makes the app follow its record when it ends.
            output.detail(f"{name}: {busy}")
        except (PikuError, OSError) as error:
            output.warn(f"{name} could not be brought back: {error}")
    known = set(paths.app_names())
    emperor.disable(paths, [name for name in emperor.enabled(paths) if name.app not in known])
