"""What an app may take of the server: memory, processors, processes (docs/limits.md).

A script beside each activation puts its processes under the limits as they start. It is started with
them, by uWSGI or the daemon's runner, within the platform: who deploys is in another cgroup, and may
not move anybody.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from piku import files
from piku.app.setting import Setting
from piku.deploy import releases
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Live, Process
from piku.errors import PikuError
from piku.extras.limits import cgroups, settings
from piku.paths import AppPaths, Paths

_PERIOD = 100_000  # microseconds; a processor's share is given in each of them
_CONTROLLERS: dict[Setting[Any], str] = {
    settings.MEMORY_LIMIT: "memory",
    settings.CPU_LIMIT: "cpu",
    settings.NPROC_LIMIT: "pids",
}


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What an app takes of what it may, None where nothing is limited or known; memory in bytes.

    `together` is off where memory is limited for each process by itself. `killed` are the processes that
    were killed for want of memory since the app was started.
    """

    memory: int | None
    memory_limit: int | None
    together: bool
    processors_limit: float | None
    tasks: int | None
    tasks_limit: int | None
    killed: int


def place(root: Path) -> Path:
    """Where the platform has said which cgroups there are."""
    return root / "uwsgi" / "cgroups"


# --- before a release ----------------------------------------------------------------------------


def refuse(paths: Paths, app: AppPaths, values: Mapping[str, str]) -> None:
    """Raise PikuError for a limit that this server cannot keep. Memory is limited in any case."""
    missing = cgroups.missing(place(paths.root))
    for setting in (settings.CPU_LIMIT, settings.NPROC_LIMIT):
        if setting.read(values) is not None and (reason := missing.get(_CONTROLLERS[setting])):
            raise PikuError(
                f"{setting.name}={values[setting.name]} cannot be kept here: {reason}",
                hint="run piku as a service that has a cgroup of its own, Delegate=yes of systemd"
                f" (docs/limits.md), or take the limit away: piku config:set {app.name} {setting.name}=",
            )


def warnings(paths: Paths, values: Mapping[str, str]) -> list[str]:
    """What a push is to say of limits that are kept otherwise than one would think."""
    reason = cgroups.missing(place(paths.root)).get("memory")
    if settings.MEMORY_LIMIT.read(values) is None or reason is None:
        return []
    return [
        f"PIKU_MEMORY_LIMIT={values[settings.MEMORY_LIMIT.name]} limits each process by itself here,"
        f" not the app as a whole: {reason}"
    ]


# --- its processes -------------------------------------------------------------------------------


def write(deployment: Deployment, activation: Live) -> None:
    """Write the script of an activation whose app has limits."""
    values, folder = deployment.values, deployment.app.start(activation.start)
    limits = {name: setting.read(values) for setting, name in _CONTROLLERS.items()}
    if not any(limits.values()):
        return
    group = _group(deployment.app, activation)
    files.write_json(folder / "limits.json", {"group": group, **limits})
    told = {
        "groups": str(place(deployment.paths.root)),
        "group": group,
        "folder": str(folder),
        "memory": limits["memory"],
        "memory_said": values.get(settings.MEMORY_LIMIT.name),
        "processor": limits["cpu"] and max(1000, int(limits["cpu"] * _PERIOD)),
        "processor_said": values.get(settings.CPU_LIMIT.name),
        "tasks": limits["pids"],
    }
    lines = "".join(f"{name}={shlex.quote(str(value or ''))}\n" for name, value in told.items())
    body = (resources.files("piku") / "templates" / "limits.sh").read_text()
    files.write(folder / "limits.sh", lines + body)


def _group(app: AppPaths, activation: Live) -> str:
    """Its own; or that of the processes which go on, when there are any: the limit is for all together."""
    if any(process.start != activation.start for process in activation.processes):
        live = releases.live(app)
        if live is not None and (stored := _stored(app, live)):
            return str(stored["group"])
    return cgroups.group(app.name, activation.start)


def _stored(app: AppPaths, activation: Live) -> dict[str, Any]:
    return files.read_json(app.start(activation.start) / "limits.json") or {}


def command(
    app: AppPaths, process: Process, log: Path, *, what: str, pid: str, notes: str = ""
) -> str:
    """The shell's command that puts the process `pid` under the limits, or nothing if there are none."""
    script = app.start(process.start) / "limits.sh"
    if not script.exists():
        return ""
    words = [process.worker, str(log), *([notes] if notes else [])]
    return f"/bin/sh {shlex.quote(str(script))} {what} {pid} {shlex.join(words)}"


# --- what they take, and what they leave ---------------------------------------------------------


def usage(app: AppPaths, live: Live) -> Usage | None:
    """What the app takes now, or None when nothing is limited."""
    stored = _stored(app, live)
    if not stored:
        return None
    given = place(app.root)
    memory, pids = (given / name / stored["group"] for name in ("memory", "pids"))
    together = bool(stored["memory"]) and (given / "memory").is_dir()
    return Usage(
        memory=cgroups.memory(memory) if together else None,
        memory_limit=stored["memory"],
        together=together,
        processors_limit=stored["cpu"],
        tasks=cgroups.tasks(pids) if stored["pids"] else None,
        tasks_limit=stored["pids"],
        killed=sum(killed(app, live, process) for process in live.processes),
    )


def killed(app: AppPaths, live: Live, process: Process) -> int:
    """How often a process was killed for want of memory since the app was started."""
    stored = _stored(app, live)
    return (
        cgroups.killed(place(app.root) / "memory" / stored["group"] / process.worker)
        if stored
        else 0
    )


def destroyed(_paths: Paths, app: AppPaths) -> None:
    """Remove the groups of an app that is gone."""
    clean(app, None)


def clean(app: AppPaths, live: Live | None) -> None:
    """Remove the groups in which nothing of the app runs any more; those of the live one's may be empty."""
    going = [process.worker for process in live.processes] if live is not None else []
    own = _stored(app, live).get("group") if live is not None and going else None
    for folder in cgroups.groups(place(app.root), app.name):
        cgroups.remove_empty(folder, going if folder.name == own else None)
