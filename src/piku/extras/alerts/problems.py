"""What is wrong at this moment, by names under which it is recognised at the next look."""

from __future__ import annotations

import fcntl
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass

from piku.deploy import releases, scheduler
from piku.deploy.releases import Live
from piku.errors import PikuError
from piku.extra import hooks
from piku.operate import ps
from piku.paths import AppPaths, Paths
from piku.tls import certificate

_SOON = 14  # days; what piku renews by itself is renewed earlier
_MB = 2**20


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is wrong: with an app, or without one with the server."""

    app: str = ""
    what: str
    detail: tuple[str, ...] = ()


Problems = dict[str, Problem]


def of_server(paths: Paths) -> Problems:
    """What is wrong with the server itself."""
    usage = shutil.disk_usage(paths.root)
    if usage.free >= max(100 * _MB, min(1024 * _MB, usage.total // 10)):
        return {}
    left = f"{usage.free // _MB} of {usage.total // _MB} MB are free"
    return {"disk": Problem(what=f"the disk is almost full: {left}")}


def of_app(paths: Paths, app: AppPaths, states: ps.States | None) -> Problems | None:
    """What is wrong with an app; None while that cannot be told: during a deploy, and when the
    emperor does not answer."""
    if states is None or _is_changing(app):
        return None
    try:
        found = dict(_problems(paths, app, states))
    except PikuError as error:
        found = {"records": Problem(app=app.name, what=error.message)}
    return None if _is_changing(app) else found


def _is_changing(app: AppPaths) -> bool:
    """Whether a command holds the app's lock, which is left as it is."""
    try:
        with app.lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _problems(paths: Paths, app: AppPaths, states: ps.States) -> Iterator[tuple[str, Problem]]:
    live = releases.live(app)
    for row in ps.of(paths, app, states).processes:
        if row.state in ("crashing", "down"):
            code = f" (exit code {row.exit_code})" if row.exit_code is not None else ""
            what = {"crashing": "keeps ending", "down": "does not run"}[row.state] + code
            yield (
                row.process,
                Problem(app=app.name, what=f"{row.process} {what}", detail=row.last_lines),
            )
    for name, run in scheduler.last_runs(app).items():
        runs = run.ended is None and name in scheduler.running(app)
        if run.code != 0 and not runs:
            how = "was killed" if run.code is None else f"failed with exit code {run.code}"
            yield f"job {name}", Problem(app=app.name, what=f"{name} {how}")
    if live is not None:
        yield from _of_live(app, live)
    for finding in hooks("findings"):
        for what, fix in finding(paths, app):
            # A figure in it may change while it is the same finding.
            yield re.sub(r"\d+", "#", what), Problem(app=app.name, what=what, detail=(fix,))


def _of_live(app: AppPaths, live: Live) -> Iterator[tuple[str, Problem]]:
    for process in live.processes:
        why = "".join(ended(app, process) for ended in hooks("ended"))
        if why:
            what = f"{process.worker} has ended{why}"
            yield f"{process.worker} ended", Problem(app=app.name, what=what)
    if live.site is not None:
        found = certificate.certificate(app, live.site.certified)
        days = (found.not_after - time.time()) / 86400
        if days < _SOON:
            what = f"its certificate expires in {days:.0f} days"
            yield "certificate", Problem(app=app.name, what=what)
