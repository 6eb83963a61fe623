"""Removing files of past starts, and releases beyond those that are kept.

Only what a record or a parsed name describes is removed; anything else is somebody's.
"""

import contextlib
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

from piku import files, subprocesses
from piku.deploy import checkout, orphans, releases, scheduler
from piku.deploy.releases import FAILED, Live, Release
from piku.errors import PikuError
from piku.extra import hooks
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.uwsgi import emperor, ini
from piku.uwsgi.emperor import VassalName

Say = Callable[[str], None]
_KEPT_STARTS = 5  # of the live release, whose logs stay
_SOCKET = re.compile(r"(?P<app>.+)@(?P<start>[0-9]+)\.[0-9]+\.sock")
_LOG = re.compile(r"[\w-]+\.[0-9]+@(?P<start>[0-9]+)\.log(\.old)?")


def clean(paths: Paths, app: AppPaths, live: Live | None, warn: Say = lambda _: None) -> None:
    """Remove what past starts left; nothing while it is unknown what runs."""
    running = emperor.observe(paths)
    if running is None:
        return
    busy = {*emperor.enabled(paths, app.name), *(name for name in running if name.app == app.name)}
    orphans.sweep(paths, app.name, busy)
    keep = {name.start for name in busy}
    if live is not None:
        keep |= {live.start, *(process.start for process in live.processes)}
    files.discard([*_past_starts(paths, app, keep), *_unused_links(app, live)], warn)


def _past_starts(paths: Paths, app: AppPaths, keep: Collection[int]) -> Iterator[Path]:
    """The files of all starts but those to `keep`."""
    for path in (app.releases / "starts").glob("*"):
        if path.name.isdigit() and int(path.name) not in keep:
            yield path
    for place in (*paths.available.iterdir(), *paths.enabled.glob(f"*{ini.DEMAND}")):
        name = VassalName.parse(place.name.removesuffix(ini.DEMAND))
        if name is not None and name.app == app.name and name.start not in keep:
            yield place
    for place in paths.nginx.glob(f"*{SEPARATOR}*.sock"):
        found = _SOCKET.fullmatch(place.name)
        if found and found["app"] == app.name and int(found["start"]) not in keep:
            yield place


def _unused_links(app: AppPaths, live: Live | None) -> Iterator[Path]:
    """The stable names of processes that there are no more."""
    processes = live.processes if live else ()
    used = {app.socket(p.instance) for p in processes if p.by_socket}
    sockets = {app.socket(1), *app.socket(1).parent.glob(f"{app.name}{SEPARATOR}*.sock")}
    found = (place for place in sockets - used if place.is_symlink())
    return (place for place in found if not _SOCKET.fullmatch(place.name))


# --- releases ------------------------------------------------------------------------------------


def prune(paths: Paths, app: AppPaths, keep: int, warn: Say = lambda _: None) -> None:
    """Remove the releases before the last `keep` usable ones, each with its code, environment and
    logs, unless something that runs still needs it. A checkout in which the app left files of
    its own stays. The release that was made is live: nothing here fails."""
    try:
        before = list(releases.releases(app))
        files.discard(_past_releases(paths, app, before, keep), warn)
        kept = {one.commit for one in before if app.release_record(one.number).exists()}
        git = ["git", "-C", str(app.repo)]
        if gone := {release.commit for release in before} - kept:
            forgotten = "".join(f"delete refs/piku/{commit}\n" for commit in gone)
            subprocesses.run([*git, "update-ref", "--stdin"], stdin=forgotten)
        if before and before[0].number % 20 == 0:
            # Does anything only when thousands of loose objects have come together.
            rarely = ("-c", "gc.auto=4000", "-c", "gc.autoDetach=false")
            subprocesses.run([*git, *rarely, "gc", "--auto", "--quiet"])
    except (PikuError, OSError) as error:
        warn(f"old releases were not removed: {error}")


def _past_releases(
    paths: Paths, app: AppPaths, every: Sequence[Release], keep: int
) -> Iterator[Path]:
    """The files of releases that go. They are removed as they are yielded: a release's record goes
    once its code has gone."""
    live = releases.live(app)
    needed = {number for in_use in hooks("in_use") for number in in_use(app)}
    needed |= {run.release for run in scheduler.running(app).values()}
    needed |= {live.release} if live else set()
    answering = {name.start for name in emperor.enabled(paths, app.name)}
    needed |= {release.number for release in every if answering.intersection(release.starts)}
    usable = [release for release in every if release.usable]
    kept = [*usable[:keep], *(release for release in usable[keep:] if release.number in needed)]
    oldest = min((release.number for release in usable[:keep]), default=0)
    over = [release for release in every if release.number < oldest and release not in kept]
    before = os.path.relpath(app.previous_link.resolve(), app.releases.resolve())
    checkouts = {before, *(release.checkout for release in kept)}
    environments = {release.environment for release in kept}
    gone = [*over, *(release for release in every if release.outcome == FAILED)]
    for release in gone:
        unused = release.checkout not in {"", *checkouts}
        with contextlib.suppress(PikuError):  # one that cannot be looked into stays
            if unused and not checkout.untracked_files(app, release.checkout):
                yield app.code(release.checkout)
                yield app.build_marker(release.checkout)
        if release.environment not in {"", *environments}:
            yield app.envs / release.environment
    for release in over:
        if not (app.releases / release.checkout).is_dir() or not release.checkout:
            yield app.release_record(release.number)
    yield from _past_logs(app, over, live)
    used = live.site.include if live is not None and live.site is not None else ""
    yield from (copy for copy in app.releases.glob(f"include{SEPARATOR}*") if str(copy) != used)


def _past_logs(app: AppPaths, over: Iterable[Release], live: Live | None) -> Iterator[Path]:
    """The logs of releases that are gone, and of all but the last starts of the live one."""
    starts = {start for release in over for start in release.starts}
    if live is not None:
        starts |= set(releases.load_release(app, live.release).starts[:-_KEPT_STARTS])
        starts -= {process.start for process in live.processes}
    for log in app.logs.glob(f"*{SEPARATOR}*.log*"):
        found = _LOG.fullmatch(log.name)
        if found and int(found["start"]) in starts:
            yield log
