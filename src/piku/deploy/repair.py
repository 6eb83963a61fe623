"""Finding and mending what a command left half done when it was killed or the power went."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import replace

from piku import effects
from piku.deploy import build, converge, records, repository, sleeping, switch
from piku.deploy.records import Release
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths
from piku.serve import emperor, processes


def finish(app: AppPaths, release: Release, outcome: str, reason: str = "") -> Release:
    """Record how a release ended. One made of other settings takes them with it."""
    if outcome in (records.SUCCEEDED, records.PREPARED) and release.kind in ("config", "rollback"):
        records.write_settings(app, release.settings)
    done = replace(release, outcome=outcome, reason=reason)
    records.save_release(app, done)
    return done


def recover(paths: Paths, app: AppPaths, *, broken_off: bool) -> None:
    """Mend one app, whose lock the caller holds and another command did not come to its end with."""
    repository.forget_locks(app)
    interrupted = _close_records(app)
    live = records.live(app)
    as_it_was = sorted(sleeping.wanted(app, live)) == emperor.enabled(paths, app.name)
    if not broken_off and not interrupted and as_it_was:
        return
    _end_orphans(paths, app, interrupted)
    _remove_half_built(app)
    switch.go_back(paths, app)


def _remove_half_built(app: AppPaths) -> None:
    for folder in build.environments(app):
        if not build.is_built(app, folder.name):
            effects.remove(folder)


def _end_orphans(paths: Paths, app: AppPaths, numbers: list[int]) -> None:
    """End what a killed deploy had started, such as a build: it would go on writing."""
    emperor_pid = emperor.pid(paths)
    managed = {os.getpid(), *(processes.descendants(emperor_pid) if emperor_pid else ())}
    for number in numbers:
        for pid in processes.with_variables({"APP": app.name, "PIKU_RELEASE": str(number)}):
            if pid not in managed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _close_records(app: AppPaths) -> list[int]:
    """Give every release that was being made its outcome: nobody else holds the lock. Returns those
    that will not be."""
    live = records.live(app)
    found = []
    for number in reversed(records.release_numbers(app)[-20:]):
        try:
            release = records.load_release(app, number)
        except PikuError:
            continue  # damaged, and not the live one: it can only be left behind
        if release.outcome != records.BUILDING:
            continue
        if live is not None and live.release == number:
            finish(app, release, records.SUCCEEDED)
        else:
            finish(app, release, records.FAILED, f"interrupted at {release.step or 'its start'}")
            found.append(number)
    return found


def _tell_what_is_lost(app: AppPaths, output: Output) -> None:
    """A backup may be without what can be built anew."""
    live = records.live(app)
    if live is not None and (lost := build.lost(app, records.load_release(app, live.release))):
        output.warn(f"{app.name} cannot run: the {lost} of v{live.release} is not here")
        output.warn(f"make it anew: piku deploy {app.name}")


def recover_all(paths: Paths, output: Output) -> None:
    """Before the platform starts: every app as its live record says, with nothing else enabled.

    An app whose records are damaged is named and left alone: it must not keep the others down.
    """
    for name in paths.app_names():
        app = paths.app(name)
        try:
            with effects.lock(app.lock, "starting the platform", patient=False):
                _close_records(app)
                _remove_half_built(app)
                converge.converge(paths, app)
                _tell_what_is_lost(app, output)
        except effects.Busy as busy:
            # That deploy needs the platform to go on, and makes the app follow its record when it ends.
            output.detail(f"{name}: {busy}")
        except (PikuError, OSError) as error:
            output.warn(f"{name} could not be brought back: {error}")
    known = set(paths.app_names())
    emperor.disable(paths, [name for name in emperor.enabled(paths) if name.app not in known])
