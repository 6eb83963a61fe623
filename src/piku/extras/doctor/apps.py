"""How apps are: their releases, processes and jobs, the files that nginx serves for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from piku import procfs as kernel
from piku.app import settings
from piku.deploy import build, health, releases, revision, scheduler
from piku.deploy.releases import Live, Process, Release
from piku.errors import PikuError
from piku.extras.doctor.findings import Finding, ok, problem, warning
from piku.extras.doctor.scene import Scene, owners
from piku.extras.maintenance import state as pause
from piku.operate import ps
from piku.operate.ps import Row
from piku.paths import AppPaths
from piku.uwsgi import ini

_STARTING = 10  # seconds for which a process may be about to listen


# --- releases ------------------------------------------------------------------------------------


def failed_releases(scene: Scene) -> Iterator[Finding]:
    """Records that are damaged, settings that no deploy would take, and deploys that failed."""
    for app in scene.apps:
        name = app.name
        try:
            live = releases.live(app)
        except PikuError as error:
            yield problem(error.message, error.hint, app=name)
            continue
        try:
            revision.layered(scene.paths, "", revision.own_settings(app))
        except PikuError as error:
            yield problem(
                f"its next deploy is going to fail: {error.message}", error.hint, app=name
            )
        yield from _last(app, live)
        if live is not None and (lost := _lost(app, live)):
            yield problem(
                f"the {lost} of its live release v{live.release} is gone",
                f"piku deploy {name}",
                app=name,
            )
        elif (
            live is not None and app.live_link.resolve() != (app.releases / live.checkout).resolve()
        ):
            yield problem(
                f"{app.live_link} does not lead to its live release",
                f"piku restart {name}",
                app=name,
            )


def _lost(app: AppPaths, live: Live) -> str:
    return build.missing(app, releases.load_release(app, live.release))


def _last(app: AppPaths, live: Live | None) -> Iterator[Finding]:
    """How the last deploy went."""
    name, numbers = app.name, releases.release_numbers(app)
    if not numbers:
        yield warning("nothing was ever deployed", "push to it: git push piku main", app=name)
        return
    last = releases.load_release(app, numbers[-1])
    runs_on = f"; v{live.release} goes on" if live else "; nothing runs"
    severity = warning if live else problem
    if last.outcome == releases.FAILED:
        fix = f"see why: piku logs {name} build --no-follow, then push a mended commit"
        what = f"its last deploy failed: v{last.number}, {_reason(last)}{runs_on}"
        yield severity(what, fix, app=name)
    elif last.outcome == releases.BUILDING and not _is_held(app):
        yield severity(
            f"its last deploy, v{last.number}, was broken off{runs_on}",
            f"piku deploy {name}",
            app=name,
        )
    elif last.outcome == releases.PREPARED and live and live.release != last.number:
        yield warning(
            f"v{last.number} is ready, and not live yet", f"piku restart {name}", app=name
        )
    else:
        yield ok(f"v{last.number} is its last release", app=name)


def _reason(release: Release) -> str:
    return " ".join((release.reason or release.step or "unknown").split())[:160]


def _is_held(app: AppPaths) -> bool:
    """Whether a command is at work on it; the kernel lists locks by inode (proc(5))."""
    try:
        inode = f":{app.lock.stat().st_ino} "
    except OSError:
        return False
    return any(inode in line for line in Path("/proc/locks").read_text().splitlines())


# --- processes -----------------------------------------------------------------------------------


def processes(scene: Scene) -> Iterator[Finding]:
    """Processes that do not run, keep ending, or listen where nobody asks."""
    if scene.states is None:
        return  # without an emperor none does, and that is told
    for app in scene.apps:
        live = scene.live.get(app.name)
        if live is not None and not live.stopped:
            rows = {row.process: row for row in ps.rows(scene.paths, app, scene.states)}
            found = [
                one
                for process in live.processes
                for one in _process(scene, app, live, process, rows)
            ]
            up = sum(1 for row in rows.values() if row.state == "up")
            yield from found or [ok(f"its processes are well, {up} of them up", app=app.name)]


def _process(
    scene: Scene, app: AppPaths, live: Live, process: Process, rows: dict[str, Row]
) -> Iterator[Finding]:
    row = rows.get(process.title)
    name = app.name
    if row is None or row.state == "down":
        yield problem(f"{process.title} does not run", f"piku restart {name}", app=name)
    elif row.state == "crashing":
        code = "" if row.exit_code is None else f" with exit code {row.exit_code}"
        yield problem(
            f"{process.title} keeps ending{code} ({row.restarts} restarts)",
            _way_out(app, live, f"piku logs {name} {process.title}"),
            app=name,
            detail=row.last_lines,
        )
    elif row.state != "asleep":
        yield from _listening(scene, app, process, row)


def _way_out(app: AppPaths, live: Live, logs: str) -> str:
    """Building what is missing, or going back, where there is a release to go back to; else a look at why."""
    if _lost(app, live):
        return f"piku deploy {app.name}"
    before = [number for number in releases.release_numbers(app) if number < live.release]
    for number in reversed(before[-5:]):
        try:
            if releases.load_release(app, number).usable:
                return (
                    f"go back to v{number} until it is mended: piku rollback {app.name} v{number}"
                )
        except PikuError:
            continue
    return f"see why, and push a mended commit: {logs}"


def _listening(scene: Scene, app: AppPaths, process: Process, row: Row) -> Iterator[Finding]:
    name = app.name
    if not process.address or (row.uptime < _STARTING and row.state == "starting"):
        return
    if process.by_socket:
        if not app.socket(process.instance).exists():
            yield problem(
                f"the socket where nginx reaches {process.title} is missing: {app.socket(process.instance)}",
                f"piku restart {name}",
                app=name,
            )
    elif not health.accepts(process.address) and row.uptime >= 1:
        what, fix = deaf(scene, process, row)
        yield problem(what, fix, app=name)


def deaf(scene: Scene, process: Process, row: Row) -> tuple[str, str]:
    """Why nobody answers at a process's address, and what to do about it."""
    name = process.title
    if process.kind in ini.MODIFIERS:
        return f"{name} does not answer at {process.address}", "see what it waits for in its log"
    below = [row.pid, *kernel.descendants(row.pid)] if row.pid else []
    own = owners(below)
    places = [one for one in scene.listeners if one.inode in own]
    if not places:
        return (
            f"{name} runs, and listens nowhere: nginx asks {process.address}",
            "have the program listen on $BIND_ADDRESS and $PORT; see what it says in its log",
        )
    said = ", ".join(sorted({one.place for one in places}))
    if any(one.port == process.port for one in places):
        return (
            f"{name} listens on {said} alone, and nginx asks {process.address}",
            "have the program listen on $BIND_ADDRESS",
        )
    return f"{name} listens on {said}, not on {process.address}", "have the program listen on $PORT"


def state(scene: Scene) -> Iterator[Finding]:
    """What only matters to who asks about this very app."""
    for app in scene.apps:
        live = scene.live.get(app.name)
        if live is None:
            continue
        if live.stopped and live.site is None:  # else it is asked, and that is told
            yield warning("it is stopped", f"piku restart {app.name}", app=app.name)
        elif live.site is None and any(process.address for process in live.processes):
            fix = f"piku config:set {app.name} {settings.SERVER_NAME.name}=HOST"
            yield warning("it has no host name, so nginx does not serve it", fix, app=app.name)


# --- the rest ------------------------------------------------------------------------------------


def jobs(scene: Scene) -> Iterator[Finding]:
    """Scheduled jobs whose last run failed."""
    for app in scene.apps:
        scheduled = _scheduled(scene, app)
        for name, run in scheduler.last_runs(app).items():
            if name not in scheduled or run.code is None:
                continue
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started))
            if run.code:
                what = f"{name} failed with exit code {run.code} at {when}"
                yield warning(
                    what, f"see why: piku logs {app.name} {name} --no-follow", app=app.name
                )
            else:
                yield ok(f"{name} ran well at {when}", app=app.name)


def _scheduled(scene: Scene, app: AppPaths) -> frozenset[str]:
    """The jobs of the live release, as its scheduler was told."""
    live = scene.live.get(app.name)
    process = next((one for one in live.processes if one.schedules), None) if live else None
    scripts = app.start(process.start).glob("cron-*.sh") if process else ()
    return frozenset(path.stem for path in scripts)


def static(scene: Scene) -> Iterator[Finding]:
    """Files and folders that nginx is to serve, and that are not there."""
    for name, site in scene.sites.items():
        for one in site.static:
            if Path(one.path).exists():
                yield ok(f"{one.prefix} is {one.path}", app=name)
            else:
                yield problem(
                    f"what nginx is to serve at {one.prefix} is not there: {one.path}",
                    f"piku deploy {name}",
                    app=name,
                )


def maintenance(scene: Scene) -> Iterator[Finding]:
    """Apps that answer 503 because somebody wanted so."""
    for app in scene.apps:
        now = pause.state(app)
        if now is not None:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(now.since))
            yield warning(
                f"it is in maintenance since {when}, by {now.by}",
                f"piku maintenance:off {app.name}",
                app=app.name,
            )
