"""Apps: their releases, processes and jobs."""

import time
from collections.abc import Iterator, Sequence

from piku import dotenv, procfs
from piku.deploy import build, releases, revision, scheduler
from piku.extras.doctor.context import Context, Finding, Listener, ok, problem, warning
from piku.operate import ps
from piku.operate.ps import Row
from piku.paths import AppPaths

_STARTING = 10  # seconds that a process may take until it listens


def last_release(context: Context, app: AppPaths) -> Iterator[Finding]:
    """How the last deploy went, and whether the settings allow another one."""
    name, live = app.name, releases.live(app)
    revision.layered(context.paths, dotenv.load(app.settings))
    numbers = releases.release_numbers(app)
    last = releases.load_release(app, numbers[-1]) if numbers else None
    if last is None:
        yield warning("it was never deployed", "push to it: git push piku main")
    elif last.outcome == releases.FAILED:
        reason = " ".join((last.reason or last.step).split())[:160]
        still = f"v{live.release} still runs" if live else "nothing runs"
        what = f"its last deploy failed: v{last.number}, {reason}; {still}"
        severity = warning if live else problem
        yield severity(what, f"see why: piku logs {name} build --no-follow")
    if live and (part := build.missing(app, releases.load_release(app, live.release))):
        what = f"the {part} of its live release v{live.release} is gone"
        yield problem(what, f"piku deploy {name}")


def processes(context: Context, app: AppPaths) -> Iterator[Finding]:
    """Processes that do not run, crash again and again, or listen at another address."""
    live = releases.live(app)
    # Without an answer of the emperor nothing is known: the check of the platform reports that.
    if live is None or live.stopped or context.states is None:
        return
    way_out = f"see why, and push a fix: piku logs {app.name} --no-follow"
    for release in releases.releases(app):
        if release.number < live.release and release.usable:
            way_out = f"piku rollback {app.name} v{release.number}"
            break
    served = {p.title: p for p in live.processes if p.address and not p.elsewhere}
    for row in ps.rows(context.paths, app, live, context.states):
        process = served.get(row.process)
        if row.state == "down":
            yield problem(f"{row.process} does not run", f"piku restart {app.name}")
        elif row.state == "crashing":
            code = "" if row.exit_code is None else f" with exit code {row.exit_code}"
            times = "1 restart" if row.restarts == 1 else f"{row.restarts} restarts"
            what = f"{row.process} keeps crashing{code} ({times})"
            yield problem(what, way_out, *row.last_lines)
        elif process and process.by_socket and not app.socket(process.instance).exists():
            what = f"the socket of {row.process}, {app.socket(process.instance)}, is missing"
            yield problem(what, f"piku restart {app.name}")
        elif process and not process.by_socket and row.state == "up" and row.uptime >= _STARTING:
            tree = {row.pid, *procfs.descendants(row.pid)}
            yield judge_listeners(row, [one for one in context.listeners if one.pid in tree])


def judge_listeners(row: Row, listeners: Sequence[Listener]) -> Finding:
    """Judge where a process listens."""
    host, _, port = row.address.rpartition(":")
    same_port = [one for one in listeners if one.port == int(port)]
    if any(one.address in (host, "0.0.0.0", "*") for one in same_port):  # noqa: S104 (compared)
        return ok(f"{row.process} listens at {row.address}")
    places = ", ".join(sorted({f"at {one.address}:{one.port}" for one in listeners}))
    fix = f"have the program listen on {'$BIND_ADDRESS' if same_port else '$PORT'}"
    return problem(f"{row.process} listens {places or 'nowhere'}, not at {row.address}", fix)


def jobs(_context: Context, app: AppPaths) -> Iterator[Finding]:
    """Scheduled jobs whose last run failed."""
    for name, run in scheduler.last_runs(app).items():
        if run.code:
            when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.started))
            what = f"{name} failed with exit code {run.code} at {when}"
            yield warning(what, f"see why: piku logs {app.name} {name} --no-follow")
