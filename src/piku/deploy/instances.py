"""Starting a release's processes: their addresses, files, and proof that they are well."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence

from piku import files, locks, ports
from piku.app import settings
from piku.deploy import process_config, releases, site_config
from piku.deploy.deployment import Job
from piku.deploy.process_plan import Plan
from piku.deploy.releases import SCHEDULER, Activation, Process
from piku.errors import PikuError
from piku.extras.limits import limits
from piku.extras.log_drain import settings as log_drain_settings
from piku.extras.log_drain import shipping
from piku.paths import AppName, AppPaths, Paths

# The kernel refuses a longer path for a unix socket (unix(7)).
_MAX_SOCKET = 107


def create(job: Job, *, carried: Sequence[Process] = (), canary: bool = False) -> Activation:
    """Write everything that the processes of a release need to start; nothing runs yet.

    `carried` are processes of the live activation that go on. A `canary` listens on a socket of its
    own in place of the port that the live release holds: it shows whether the app loads at all
    before that one is stopped.
    """
    number = releases.next_activation(job.app)
    going_on = {(process.kind, process.instance) for process in carried}
    wanted = [key for key in _wanted(job.plan, canary) if key not in going_on]
    served = [key for key in wanted if key[0] == job.plan.serving]
    with locks.lock(job.paths.uwsgi / "ports.lock", "assigning ports"):
        started = [
            *_serving(job, number, served, by_socket=canary or job.plan.port == "socket"),
            *(
                Process(kind=k, instance=i, origin=number)
                for k, i in wanted
                if k != job.plan.serving
            ),
        ]
        processes = (*carried, *started)
        activation = Activation(
            number=number,
            release=job.release.number,
            checkout=job.release.checkout,
            processes=processes,
            site=site_config.of(job, [process for process in processes if process.address]),
            drain_timeout=settings.DRAIN_TIMEOUT.read(job.values),
            stop_timeout=settings.STOP_TIMEOUT.read(job.values),
            counts=job.plan.counts,
            drains=log_drain_settings.LOG_DRAIN.read(job.values),
            drain_ca=shipping.authorities(job),
        )
        releases.save_activation(job.app, activation)
    limits.write(job, activation)
    for process in started:
        process_config.write(job, activation, process)
    return activation


def _wanted(plan: Plan, canary: bool) -> list[tuple[str, int]]:
    scheduler = ((SCHEDULER, 1),) if plan.jobs else ()
    counts = ((plan.serving, plan.instances), *(() if canary else (*plan.workers, *scheduler)))
    return [(kind, instance) for kind, count in counts for instance in range(1, count + 1)]


# --- addresses -----------------------------------------------------------------------------------


def _serving(
    job: Job, number: int, keys: Sequence[tuple[str, int]], *, by_socket: bool
) -> list[Process]:
    if by_socket:
        return [
            Process(kind=kind, instance=i, origin=number, address=_socket(job.app, number, i))
            for kind, i in keys
        ]
    if not keys:
        return []
    bind = settings.BIND_ADDRESS.read(job.values)
    if problem := ports.cannot_listen(bind, 0):
        raise PikuError(f"BIND_ADDRESS={bind}: {problem}", hint="give an address of this server")
    reach = "127.0.0.1" if bind == "0.0.0.0" else bind  # noqa: S104 (compared, not bound)
    pairs = _pairs(job, bind, keys) if job.plan.port == "each" else [(_one_port(job, bind), None)]
    return [
        Process(
            kind=kind, instance=i, origin=number, port=port, spare=spare, address=f"{reach}:{port}"
        )
        for (kind, i), (port, spare) in zip(keys, pairs, strict=True)
    ]


def _pairs(job: Job, bind: str, keys: Sequence[tuple[str, int]]) -> list[tuple[int, int | None]]:
    """A port for each process, and the one that its successor is to have: releases take turns.

    A worker of nginx that ends after a reload still serves the connections that it has accepted, of
    slow clients and uploads: with the spare it knows where to find the next release.
    """
    live = releases.live(job.app)
    before = {(p.kind, p.instance): p for p in (live.processes if live else ())}
    used = set(ports_in_use(job.paths))
    found: list[tuple[int, int | None]] = []
    for key in keys:
        old = before.get(key)
        if old is not None and old.spare is not None and ports.is_free(bind, old.spare):
            found.append((old.spare, old.port))
            continue
        port, spare = ports.free_ports(bind, 2, used)
        used |= {port, spare}
        found.append((port, spare))
    return found


def _one_port(job: Job, bind: str) -> int:
    others = ports_in_use(job.paths, except_app=job.app.name)
    port = settings.PORT.read(job.values) if job.plan.port == "fixed" else kept_port(job.app)
    if port is None:
        [port] = ports.free_ports(bind, 1, others)
        files.write(job.app.releases / "port", f"{port}\n", durable=True)
    if port in others:
        raise PikuError(
            f"port {port} belongs to the app {others[port]!r}", hint="choose another PORT"
        )
    if port not in ports_in_use(job.paths) and not ports.is_free(bind, port):
        raise port_in_use(bind, port)
    return port


def port_in_use(bind: str, port: int) -> PikuError:
    return PikuError(
        f"port {port} on {bind} is in use by another program",
        hint="choose another PORT, or stop that program",
    )


def kept_port(app: AppPaths) -> int | None:
    """The port that was assigned to the app for good, if one was."""
    text = files.read(app.releases / "port").strip()
    return int(text) if text.isdigit() else None


def ports_in_use(paths: Paths, *, except_app: AppName | None = None) -> dict[int, AppName]:
    """The ports that apps have, whether their processes run or not."""
    found: dict[int, AppName] = {}
    for name in paths.app_names():
        if name == except_app:
            continue
        app = paths.app(name)
        for number in releases.activation_numbers(app):
            activation = None
            with contextlib.suppress(
                PikuError
            ):  # another app's damaged record is not this one's fault
                activation = releases.load_activation(app, number)
            processes = activation.processes if activation else ()
            found |= {
                port: name
                for process in processes
                for port in (process.port, process.spare)
                if port
            }
        if (kept := kept_port(app)) is not None:
            found[kept] = name
    return found


def _socket(app: AppPaths, number: int, instance: int) -> str:
    path = str(app.activation_socket(number, instance))
    if len(os.fsencode(path)) > _MAX_SOCKET:
        raise PikuError(
            f"the path {path} is too long for a socket", hint="use a shorter app name or PIKU_ROOT"
        )
    return path
