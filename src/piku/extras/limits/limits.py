"""Keeping an app's limits, and saying what it uses of them.

A script puts processes under the limits as they start: the command that deploys may not move them.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from piku import files, records
from piku.app.procfile import UWSGI_SERVED
from piku.deploy import releases
from piku.deploy.releases import Live, Process
from piku.errors import PikuError
from piku.extras.limits import cgroups
from piku.extras.limits.settings import CPU_LIMIT, MEMORY_LIMIT, NPROC_LIMIT
from piku.paths import SEPARATOR, TEMPLATES, AppPaths, Paths

if TYPE_CHECKING:
    from piku.deploy.deployment import Deployment

_PERIOD = 100_000  # microseconds; a processor's share is given in each of them
_MB = 2**20


def check(deployment: Deployment) -> list[str]:
    """Refuse limits that this server cannot keep. Memory is limited in any case."""
    values, missing = deployment.values, cgroups.missing(deployment.paths.root)
    for setting in (CPU_LIMIT, NPROC_LIMIT):
        if missing and setting.read(values) is not None:
            raise PikuError(
                f"{setting.name}={values[setting.name]} cannot be kept here: {missing}",
                hint="run piku as a service with Delegate=yes (docs/limits.md), or unset the limit",
            )
    if not missing or MEMORY_LIMIT.read(values) is None:
        return []
    limit = f"PIKU_MEMORY_LIMIT={values[MEMORY_LIMIT.name]}"
    return [f"{limit} limits each process separately here, not the app as a whole: {missing}"]


def uwsgi(deployment: Deployment, process: Process) -> Sequence[tuple[str, str]]:
    """Options that have a uWSGI join its group first of all; for a program, `wrap` does it."""
    served = process.kind in UWSGI_SERVED or process.schedules
    if not served or not (script := _script(deployment, process)):
        return ()
    join, report = (
        f"exec:{shlex.join(_call(deployment.app, process, script, action))}"
        for action in ("join", "report")
    )
    # A worker process that was killed is replaced without another start.
    return (("hook-asap", join.replace(" - ", " $PPID ", 1)), ("hook-post-fork", report))


def wrap(deployment: Deployment, process: Process, argv: Sequence[str]) -> Sequence[str]:
    """A program's command line, which joins its group first; with walls also that of a uWSGI."""
    script = _script(deployment, process)
    return [*_call(deployment.app, process, script, "run"), *argv] if script else argv


def _call(app: AppPaths, process: Process, script: str, action: str) -> list[str]:
    log = str(process.log(app))
    return ["/bin/sh", script, action, "-", process.worker, log]


def _script(deployment: Deployment, process: Process) -> str:
    """Write the script of a start; returns its path, or "" for an app without limits."""
    app, values, folder = deployment.app, deployment.values, deployment.app.start(process.start)
    memory, cpu, pids = (one.read(values) for one in (MEMORY_LIMIT, CPU_LIMIT, NPROC_LIMIT))
    if not (memory or cpu or pids):
        return ""
    # What scaling adds joins the processes that go on: the limit is for all together.
    live = releases.live(app) if deployment.plan.counts is not None else None
    group = _stored(app, live).get("group", f"app-{app.name}{SEPARATOR}{process.start}")
    record = {"group": group, "memory": memory, "cpu": cpu, "pids": pids}
    files.write(folder / "limits.json", json.dumps(record))
    variables = record | {
        "groups": cgroups.place(app.root),
        "folder": folder,
        "memory_said": values.get(MEMORY_LIMIT.name),
        "cpu": cpu and int(cpu * _PERIOD),
        "cpu_said": values.get(CPU_LIMIT.name),
    }
    lines = (f"{name}={shlex.quote(str(value or ''))}\n" for name, value in variables.items())
    body = (TEMPLATES / "limits.sh").read_text()
    files.write(folder / "limits.sh", "".join(lines) + body)
    return str(folder / "limits.sh")


def _stored(app: AppPaths, live: Live | None, start: int = 0) -> Any:
    """The group and the limits of a start, by default of what is live."""
    start = start or (live.processes[0].start if live and live.processes else 0)
    return records.load(app.start(start) / "limits.json", dict[str, object]) or {}


def ended(app: AppPaths, process: Process) -> str:
    """Whether a process that ended was killed for its memory."""
    stored = _stored(app, None, process.start)
    if not stored or not _killed(app, stored.get("group", ""), process):
        return ""
    of_app = cgroups.place(app.root) / stored["group"] / "memory.events"
    is_own = cgroups.number(of_app, "oom")
    why = "the app used more than PIKU_MEMORY_LIMIT" if is_own else "the server had no memory left"
    return f": it was killed, for {why}"


def _killed(app: AppPaths, group: str, process: Process) -> int:
    events = cgroups.place(app.root) / group / process.worker / "memory.events"
    return cgroups.number(events, "oom_kill")


def notes(_paths: Paths, app: AppPaths) -> list[str]:
    """What the app uses of its limits, for `piku ps`."""
    live = releases.live(app)
    if live is None or not (stored := _stored(app, live)):
        return []
    group = cgroups.place(app.root) / stored.get("group", "")
    killed = sum(_killed(app, group.name, process) for process in live.processes)
    times = f" (killed {killed} times for more)" if killed else ""
    tasks = cgroups.number(group / "pids.current")
    parts = (
        stored.get("memory") and _memory(group, stored["memory"] / _MB) + times,
        stored.get("cpu") and f"{stored['cpu']:g} processors",
        stored.get("pids") and f"{tasks} of {stored['pids']} processes and threads",
    )
    return ["", f"Limits: {', '.join(filter(None, parts))}"]


def _memory(group: Path, limit: float) -> str:
    if not (group / "memory.current").exists():
        return f"memory {limit:.0f} MB for each process"
    # The kernel would give the second part back at once.
    used = cgroups.number(group / "memory.current")
    used -= cgroups.number(group / "memory.stat", "inactive_file")
    return f"memory {used / _MB:.1f} of {limit:.0f} MB"


def reconciled(_paths: Paths, app: AppPaths, live: Live | None = None) -> None:
    """Remove the app's groups in which nothing runs any more; of an app that is gone, all."""
    cgroups.remove_empty(app.root, app.name, keep=_stored(app, live).get("group", ""))
