"""Letting go of code and environments that no kept release uses."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

from piku import files, subprocesses
from piku.deploy import build, checkout, releases, scheduler
from piku.deploy.releases import Release
from piku.deploy.revision import BUILT
from piku.extra import hooks
from piku.paths import SEPARATOR, AppPaths

_LONGEST_PUSH = 86400.0  # seconds


def prune(app: AppPaths, keep: int) -> None:
    """Remove what only releases before the last `keep` usable ones need, and no job that is at work.

    A checkout in which the app left files of its own stays.
    """
    live = releases.live(app)
    every = releases.releases(app)
    usable = [release for release in every if release.usable]
    needed = {number for in_use in hooks("in_use") for number in in_use(app)}
    needed |= {live.release} if live else set()
    kept = [*usable[:keep], *(release for release in usable[keep:] if release.number in needed)]
    at_work = list(scheduler.running(app).values())
    checkouts = {release.checkout for release in kept} | {app.before_link.resolve().name}
    checkouts |= {run["checkout"] for run in at_work}
    environments = {release.environment for release in kept} | {
        run["environment"] for run in at_work
    }
    ours = {"activations", scheduler.states_folder(app).name}
    for folder in app.releases.iterdir():
        if not folder.is_dir() or folder.name in ours | checkouts:
            continue
        if not folder.name.startswith(".") and checkout.untracked_files(app, folder.name, ()):
            continue
        files.remove(folder)
    _forget_markers(app)
    for folder in build.environments(app):
        if folder.name not in environments:
            files.remove(folder)
    site = live.site if live is not None else None
    used = (site.include, site.passwords) if site is not None else ()
    for copy in app.releases.glob(f"kept{SEPARATOR}*"):
        if str(copy) not in used:
            files.remove(copy)
    _forget_failed_logs(app, every, min((release.number for release in kept), default=0))
    _forget_commits(app, {release.commit for release in kept})
    _forget_received(app)
    # Rarely does anything: only when thousands of loose objects have come together.
    rarely = ("-c", "gc.auto=4000", "-c", "gc.autoDetach=false")
    subprocesses.run(["git", "-C", str(app.repo), *rarely, "gc", "--auto", "--quiet"])


def _forget_markers(app: AppPaths) -> None:
    """Remove what was noted of checkouts that are gone, also by somebody who was killed in between."""
    for marker in app.releases.glob(f"*{BUILT}"):
        if not marker.with_suffix("").is_dir():
            files.remove(marker)


def _forget_failed_logs(app: AppPaths, every: Iterable[Release], oldest: int) -> None:
    """Remove the logs of releases that failed before the oldest kept one."""
    for release in every:
        if release.number < oldest and release.outcome == releases.FAILED:
            for number in releases.activations_of(app, release.number):
                for log in app.logs.glob(f"*{SEPARATOR}{number}.log"):
                    files.remove(log)


def _forget_received(app: AppPaths) -> None:
    """Remove what pushes had sent when they were killed; git itself would keep it for weeks."""
    objects = app.repo / "objects"
    for path in (*objects.glob("tmp_objdir-*"), *objects.glob("pack/tmp_*")):
        with contextlib.suppress(FileNotFoundError):  # one that comes to its end now
            if time.time() - path.stat().st_mtime > _LONGEST_PUSH:
                files.remove(path)


def _forget_commits(app: AppPaths, kept: set[str]) -> None:
    listing = subprocesses.run(
        ["git", "-C", str(app.repo), "for-each-ref", "--format=%(refname)", "refs/piku/"]
    )
    for reference in listing.split():
        commit = reference.rpartition("/")[2]
        if commit not in kept and not (app.releases / commit).exists():
            subprocesses.run(["git", "-C", str(app.repo), "update-ref", "-d", reference])
