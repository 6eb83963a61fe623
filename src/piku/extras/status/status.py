"""The whole server at one look: the machine, every app by its state, and what asks for attention."""

from __future__ import annotations

import contextlib
import os
import platform as system
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import piku
from piku import files, procfs
from piku.deploy import certificates, live_sites, releases, scheduler
from piku.deploy.releases import Release
from piku.errors import PikuError
from piku.extras.detached import runs
from piku.extras.maintenance import state as state_module
from piku.extras.status import requests
from piku.nginx import service
from piku.nginx.site import Platform
from piku.operate import summary as summary_module
from piku.operate.summary import Summary
from piku.paths import AppName, AppPaths, Paths
from piku.tls import certificate
from piku.uwsgi import emperor

CRASHING, DOWN, MAINTENANCE = "crashing", "down", "maintenance"
# What asks for attention comes first.
_ORDER = (
    summary_module.UNKNOWN, CRASHING, DOWN, MAINTENANCE, summary_module.UP, summary_module.ASLEEP, summary_module.NOTHING,
    summary_module.STOPPED, summary_module.NEVER,
)  # fmt: skip
_SOON = 21 * 86400
_DEPLOYS = 5


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The host; sizes in bytes, times in seconds. `platform` is since when piku runs, None when it does not."""

    name: str
    version: str
    uptime: int
    platform: int | None
    load: tuple[float, float, float]
    processors: int
    memory: int
    available: int
    disk: int
    free: int


@dataclass(frozen=True, kw_only=True)
class App:
    """One app. `processes` counts those that run of each type, `deployed` is when (epoch) its live release
    was made; `url` is empty where nginx does not serve it."""

    app: str
    state: str
    release: int | None
    deployed: float | None
    processes: dict[str, int]
    memory: int
    requests_per_minute: int | None
    url: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Expiry:
    """A certificate that ends soon, or could not be had."""

    app: str
    names: tuple[str, ...]
    source: str
    until: int
    error: str


@dataclass(frozen=True, kw_only=True)
class Deploy:
    """A release that was made or tried; `created` is of the epoch."""

    app: str
    release: int
    created: float
    outcome: str
    description: str
    by: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """A scheduled job, or a command that goes on by itself; times of the epoch. `code` is of its last run."""

    app: str
    job: str
    running_since: float | None
    last: float | None
    code: int | None


@dataclass(frozen=True, kw_only=True)
class Status:
    """All of it."""

    machine: Machine
    apps: tuple[App, ...]
    certificates: tuple[Expiry, ...]
    deploys: tuple[Deploy, ...]
    jobs: tuple[Job, ...]


def of_server(paths: Paths) -> Status:
    """How everything is now."""
    states = emperor.observe(paths)
    summaries = summary_module.of_all(paths, states)
    where = service.platform(paths)
    found = [_app(paths, summary, where, running=states is not None) for summary in summaries]
    found.sort(key=lambda app: (_ORDER.index(app.state), app.app))
    apps = [paths.app(name) for name in paths.app_names()]
    return Status(
        machine=machine(paths),
        apps=tuple(found),
        certificates=tuple(_certificates(paths)),
        deploys=tuple(_deploys(apps)),
        jobs=tuple(job for app in apps for job in _jobs(app)),
    )


# --- the machine ---------------------------------------------------------------------------------


def machine(paths: Paths) -> Machine:
    """What the kernel says (proc(5), statvfs(3))."""
    seen = os.statvfs(paths.root if paths.root.exists() else paths.home)
    lines = (line.split() for line in files.read(Path("/proc/meminfo")).splitlines())
    memory = {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1}
    pid = service.master_pid(paths) or emperor.pid(paths)
    return Machine(
        name=system.node(),
        version=piku.__version__,
        uptime=int(float(files.read(Path("/proc/uptime")).split()[0])),
        platform=_since(pid) if pid else None,
        load=os.getloadavg(),
        processors=os.cpu_count() or 1,
        memory=memory.get("MemTotal", 0),
        available=memory.get("MemAvailable", 0),
        disk=seen.f_blocks * seen.f_frsize,
        free=seen.f_bavail * seen.f_frsize,
    )


def _since(pid: int) -> int | None:
    """For how many seconds a process runs; None when it is gone."""
    fields = files.read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    if len(fields) < 20:
        return None
    begun = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return max(0, int(float(files.read(Path("/proc/uptime")).split()[0]) - begun))


# --- apps ----------------------------------------------------------------------------------------


def _app(paths: Paths, summary: Summary, where: Platform, *, running: bool) -> App:
    app = paths.app(AppName(summary.app))
    counts: dict[str, int] = {}
    for row in summary.processes:
        kind = row.process.rpartition(".")[0] or row.process
        counts[kind] = counts.get(kind, 0) + (row.state not in ("down", "stopping"))
    state, note = _state(app, summary, running=running)
    return App(
        app=summary.app,
        state=state,
        release=summary.release,
        deployed=_created(app, summary.release),
        processes=counts,
        memory=sum(row.memory for row in summary.processes),
        requests_per_minute=_requests(app, summary.release),
        url=_url(app, where),
        note=note,
    )


def _requests(app: AppPaths, release: int | None) -> int | None:
    """The requests of the last minute; None when nothing counts them."""
    with contextlib.suppress(PikuError):
        live = releases.live(app)
        if live is not None and release is not None:
            now = time.time()
            counted = [*requests.by_process(app, live, now).values(), requests.by_nginx(live, now)]
            known = [count for count in counted if count is not None]
            return sum(known) if known else None
    return None


def _state(app: AppPaths, summary: Summary, *, running: bool) -> tuple[str, str]:
    """The state that matters most, and what is to be said of it."""
    if summary.error:
        return summary_module.UNKNOWN, summary.error
    crashing = [row for row in summary.processes if row.state == "crashing"]
    if crashing:
        code = "" if crashing[0].exit_code is None else f" with exit code {crashing[0].exit_code}"
        return CRASHING, f"{crashing[0].process} keeps ending{code}"
    down = [row.process for row in summary.processes if row.state == "down"]
    if down:
        return DOWN, f"{', '.join(down)} does not run" if running else "piku does not run"
    with contextlib.suppress(PikuError, TypeError):
        paused = state_module.state(app)
        if paused is not None:
            return MAINTENANCE, f"by {paused.by}"
    return summary.state, ""


def _created(app: AppPaths, number: int | None) -> float | None:
    with contextlib.suppress(PikuError):
        return releases.load_release(app, number).created if number else None
    return None


def _url(app: AppPaths, where: Platform) -> str:
    with contextlib.suppress(PikuError):
        live = releases.live(app)
        if live is not None and live.site is not None:
            return where.url(live.site.names[0], secure=live.site.https_only)
    return ""


# --- what else there is --------------------------------------------------------------------------


def _certificates(paths: Paths) -> Iterator[Expiry]:
    """Those that end soon and are not renewed by themselves in time, and those that could not be had."""
    now = time.time()
    for name, site in live_sites.load(paths)[0].items():
        serving = certificate.certificate(paths.app(name), site.certified)
        tried = certificates.attempts(paths, paths.app(name))
        if serving.not_after - now < _SOON or tried.count:
            yield Expiry(
                app=name, names=site.certified, source=serving.source, until=serving.not_after,
                error=(tried.error.splitlines() or [""])[-1] if tried.count else "",
            )  # fmt: skip


def _deploys(apps: Iterable[AppPaths]) -> list[Deploy]:
    """The last of all apps, the newest first."""
    found = [(app, release) for app in apps for release in _last_releases(app)]
    found.sort(key=lambda pair: -pair[1].created)
    return [
        Deploy(
            app=app.name, release=release.number, created=release.created, outcome=release.outcome,
            description=release.description, by=release.by.split(" ")[0], reason=" ".join(release.reason.split()),
        )
        for app, release in found[:_DEPLOYS]
    ]  # fmt: skip


def _last_releases(app: AppPaths) -> Iterator[Release]:
    for number in releases.release_numbers(app)[-_DEPLOYS:]:
        with contextlib.suppress(PikuError):
            yield releases.load_release(app, number)


def _jobs(app: AppPaths) -> Iterator[Job]:
    running = scheduler.running(app)
    for name, run in scheduler.last_runs(app).items():
        yield Job(
            app=app.name,
            job=name,
            running_since=run.started if name in running else None,
            last=run.started,
            code=run.code,
        )
    for name, detached in runs.running(app).items():
        yield Job(
            app=app.name,
            job=name,
            running_since=time.time() - procfs.age(detached.leader),
            last=None,
            code=None,
        )
