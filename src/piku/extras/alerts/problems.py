"""What is wrong at this moment, by names under which it is recognised at the next look."""

import fcntl
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from piku import errors, procfs
from piku.deploy import releases, scheduler
from piku.deploy.releases import Live
from piku.extra import hooks
from piku.extras import shared
from piku.operate import ps
from piku.paths import AppPaths, Paths
from piku.tls import certificate

_CALM = 3600  # seconds that a process must run after it was killed, until that is over


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is wrong with an app, or with the server."""

    what: str
    detail: tuple[str, ...] = ()


Problems = dict[str, Problem]


def of_server(paths: Paths) -> Problems:
    """What is wrong with the server itself."""
    total, free, few = shared.space(paths.root)
    what = f"the disk is almost full: {free >> 20} of {total >> 20} MB are free"
    return {"disk": Problem(what=what)} if few else {}


def of_app(paths: Paths, app: AppPaths, states: ps.States | None) -> Problems | None:
    """What is wrong with an app; None while that cannot be told: during a deploy, and when the
    emperor does not answer."""
    try:
        if states is None or _is_changing(app):
            return None
        found = dict(_problems(paths, app, states))
        return None if _is_changing(app) else found
    except Exception as error:  # noqa: BLE001 (of one app, or a plugin: others are looked at)
        return {"records": Problem(what=errors.of(error).message)}


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
    live, rows = releases.live(app), ps.of(paths, app, states).processes
    for row in rows:
        if row.state in ("crashing", "down"):
            code = f" (exit code {row.exit_code})" if row.exit_code is not None else ""
            how = {"crashing": "keeps ending", "down": "does not run"}[row.state] + code
            yield row.process, Problem(what=f"{row.process} {how}", detail=row.last_lines)
    for name, run in scheduler.last_runs(app).items():
        runs = run.ended is None and name in scheduler.running(app)
        if run.ended is None and not runs:  # it may just have ended
            run = scheduler.last_runs(app).get(name, run)
        if run.code != 0 and not runs:
            how = "was killed" if run.code is None else f"failed with exit code {run.code}"
            yield f"job {name}", Problem(what=f"{name} {how}")
    if live:
        yield from _killed(app, live, rows)
        yield from _certificate(app, live)
    for finding in hooks("findings"):
        for what, fix in finding(paths, app):
            # A figure, its unit and the reason may change while it is the same finding.
            name = re.sub(r"\d+[smhd]?", "#", what.partition(": ")[0])
            yield name, Problem(what=what, detail=(fix,))


def _killed(app: AppPaths, live: Live, rows: Sequence[ps.Row]) -> Iterator[tuple[str, Problem]]:
    """Processes that an extra knows to have been ended, until they have run well for a while."""
    ages = {row.process: _age(row) for row in rows if row.state != ps.ASLEEP}
    for process in live.processes:
        why = "".join(ended(app, process) for ended in hooks("ended"))
        if why and ages.get(process.title, _CALM) < _CALM:
            yield f"{process.worker} ended", Problem(what=f"{process.worker} has ended{why}")


def _age(row: ps.Row) -> float:
    """For how long a process has run, or the youngest of those that a uWSGI has started."""
    return min(map(procfs.age, (row.pid, *procfs.children(row.pid)))) if row.pid else 0.0


def _certificate(app: AppPaths, live: Live) -> Iterator[tuple[str, Problem]]:
    """The certificate that browsers accept, when it was not renewed in time. After its end nginx
    serves a self-signed one, which is none."""
    names, now = live.site.all_names if live.site else (), time.time()
    known = list(certificate.stored(app))
    found = certificate.choose(known, names, now) or certificate.choose(known, names, 0)
    if found and found.ends_soon(now):
        how = "expires" if found.not_after > now else "expired"
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(found.not_after))
        yield "certificate", Problem(what=f"its certificate {how} at {at}")
