"""The whole server at one look: the machine, every app by its state, and what needs attention."""

import os
import platform as system
import shutil
import time
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import piku
from piku import files, procfs
from piku.deploy import releases, scheduler
from piku.deploy.releases import Release
from piku.deploy.scheduler import Run
from piku.errors import PikuError
from piku.extra import hooks
from piku.nginx import service
from piku.operate import ps
from piku.operate.ps import AppState
from piku.paths import AppName, AppPaths, Paths
from piku.tls import certificate
from piku.uwsgi import emperor

# What needs attention comes first.
_ORDER = (
    ps.UNKNOWN, "crashing", "down", ps.UP, ps.STATIC, ps.ASLEEP, ps.NOTHING, ps.STOPPED,
    ps.NEVER,
)  # fmt: skip
_DEPLOYS = 5  # releases


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The host: sizes in bytes, times in seconds; `platform` is for how long piku runs, or 0."""

    name: str
    version: str
    uptime: int
    platform: int
    load: tuple[float, ...]
    memory: int
    available: int
    disk: int
    free: int


@dataclass(frozen=True, kw_only=True)
class App:
    """One app: how many processes run of each type, its address, what there is to say about it."""

    app: str
    state: str
    release: int | None
    processes: dict[str, int]
    memory: int
    url: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Status:
    """All of it; a job's last run has its app, its name, and whether it still runs."""

    machine: Machine
    apps: list[App]
    deploys: list[tuple[str, Release]]
    jobs: list[tuple[str, str, Run, bool]]


def observe(paths: Paths) -> Status:
    """How the server is now."""
    apps = [paths.app(name) for name in paths.app_names()]
    found = [_app(paths, one) for one in ps.of_all(paths, emperor.observe(paths))]
    deploys = [
        (str(app.name), one) for app in apps for one in islice(releases.releases(app), _DEPLOYS)
    ]
    return Status(
        machine=_machine(paths),
        apps=sorted(found, key=lambda app: (_ORDER.index(app.state), app.app)),
        deploys=sorted(deploys, key=lambda pair: -pair[1].created)[:_DEPLOYS],
        jobs=[
            (str(app.name), name, run, name in running)
            for app, running in ((app, scheduler.running(app)) for app in apps)
            for name, run in scheduler.last_runs(app).items()
        ],
    )


def _machine(paths: Paths) -> Machine:
    disk = shutil.disk_usage(paths.root if paths.root.exists() else paths.home)
    memory = files.read(Path("/proc/meminfo")).split()
    pid = service.master_pid(paths) or emperor.pid(paths)
    return Machine(
        name=system.node(),
        version=piku.__version__,
        uptime=int(float(files.read(Path("/proc/uptime")).split()[0])),
        platform=max(1, int(procfs.age(pid))) if pid else 0,
        load=os.getloadavg(),
        memory=int(memory[memory.index("MemTotal:") + 1]) * 1024,
        available=procfs.available_memory(),
        disk=disk.total,
        free=disk.free,
    )


def _app(paths: Paths, found: AppState) -> App:
    app = paths.app(AppName(found.app))
    counts: dict[str, int] = {}
    for row in found.processes:
        kind = row.process.rpartition(".")[0] or row.process
        counts[kind] = counts.get(kind, 0) + (row.state not in ("down", "stopping"))
    live = None if found.error else releases.live(app)
    state, url, notes = found.state, "", [found.error] if found.error else _notes(paths, app)
    if live is not None and live.site is not None:
        url = service.url(paths, live.site)
        serving = certificate.certificate(app, live.site.all_names)
        if serving.ends_soon(time.time()):
            notes.append(f"its certificate is valid until {serving.last_day}")
    for worst in ("unknown", "down", "crashing"):
        if names := [row.process for row in found.processes if row.state == worst]:
            state, notes = worst, [f"{', '.join(names)}: {worst}"]
    return App(
        app=found.app,
        state=state,
        release=found.release,
        processes=counts,
        memory=sum(row.memory for row in found.processes),
        url=url,
        note="; ".join(notes),
    )


def _notes(paths: Paths, app: AppPaths) -> list[str]:
    try:
        return [what for hook in hooks("findings") for what, _ in hook(paths, app)]
    except PikuError as error:
        return [error.message]
