"""The instances of a release: where they listen, and the files that they start from."""

import os
from collections.abc import Sequence
from functools import partial

from piku import files, locks, ports
from piku.app import settings
from piku.deploy import process_config, releases
from piku.deploy.deployment import Deployment
from piku.deploy.releases import SCHEDULER, Process
from piku.errors import PikuError
from piku.paths import AppName, AppPaths, Paths

# The kernel refuses a longer path for a unix socket (unix(7)).
_MAX_SOCKET = 107


def create(deployment: Deployment, reused: Sequence[Process] = ()) -> tuple[int, list[Process]]:
    """Write what the processes of a new start need; nothing runs yet. Returns the start's number
    and its processes. `reused` are processes of the live release that go on."""
    plan = deployment.plan
    number = releases.next_start(deployment.paths)
    counts = ((plan.serving, plan.instances), *plan.workers, (SCHEDULER, 1 if plan.jobs else 0))
    going_on = {(process.kind, process.instance) for process in reused}
    wanted = [(k, i) for k, count in counts for i in range(1, count + 1) if (k, i) not in going_on]
    serving = [instance for kind, instance in wanted if kind == plan.serving]
    with locks.lock(deployment.paths.uwsgi / "ports.lock", "assigning ports"):
        processes = _serving(deployment, number, serving)
        taken = "".join(f"{process.port}\n" for process in processes if process.port)
        files.write(deployment.app.start(number) / "ports", taken)
    processes += [
        Process(kind=kind, instance=i, start=number, elsewhere=plan.elsewhere and kind != SCHEDULER)
        for kind, i in wanted
        if kind != plan.serving
    ]
    for process in processes:
        process_config.write(deployment, process)
    return number, processes


def _serving(deployment: Deployment, number: int, instances: Sequence[int]) -> list[Process]:
    if not instances:
        return []
    kind, app = deployment.plan.serving, deployment.app
    if deployment.plan.port == "socket":
        return [
            Process(kind=kind, instance=i, start=number, address=socket_path(app, number, i))
            for i in instances
        ]
    bind = settings.BIND_ADDRESS.read(deployment.values)
    if problem := ports.cannot_listen(bind, 0):
        raise PikuError(f"BIND_ADDRESS={bind}: {problem}", hint="give an address of this server")
    reach = "127.0.0.1" if bind == "0.0.0.0" else bind  # noqa: S104 (compared, not bound)
    if deployment.plan.port == "each":
        found = ports.free_ports(bind, len(instances), ports_in_use(deployment.paths))
    else:
        found = [one_port(deployment)]
    made = partial(Process, kind=kind, start=number, elsewhere=deployment.plan.elsewhere)
    return [
        made(instance=i, port=port, address=f"{reach}:{port}")
        for i, port in zip(instances, found, strict=True)
    ]


def one_port(deployment: Deployment) -> int:
    """The port of an app that has one for all releases: PORT, or one assigned for good; raises
    PikuError when another app or program has it."""
    app, fixed = deployment.app, deployment.plan.port == "fixed"
    bind = settings.BIND_ADDRESS.read(deployment.values)
    others = ports_in_use(deployment.paths, except_app=app.name)
    port = settings.PORT.read(deployment.values) if fixed else _kept_port(app)
    if port is None:
        [port] = ports.free_ports(bind, 1, others)
        files.write(app.port_file, f"{port}\n", durable=True)
    if port in others:
        raise PikuError(
            f"port {port} belongs to the app {others[port]!r}", hint="choose another PORT"
        )
    if port not in ports_in_use(deployment.paths) and ports.cannot_listen(bind, port):
        raise port_in_use(bind, port)
    return port


def port_in_use(bind: str, port: int) -> PikuError:
    return PikuError(
        f"port {port} on {bind} is in use by another program",
        hint="choose another PORT, or stop that program",
    )


def _kept_port(app: AppPaths) -> int | None:
    text = files.read(app.port_file).strip()
    return int(text) if text.isdigit() else None


def ports_in_use(paths: Paths, *, except_app: AppName | None = None) -> dict[int, AppName]:
    """The ports that apps have, and those of starts that nothing listens for yet."""
    found: dict[int, AppName] = {}
    for app in (paths.app(name) for name in paths.app_names() if name != except_app):
        for place in (app.port_file, *app.releases.glob("starts/*/ports")):
            texts = (files.peek(place) or "").split()
            found |= {int(text): app.name for text in texts if text.isdecimal()}
    return found


def socket_path(app: AppPaths, number: int, instance: int) -> str:
    """Where an instance that uWSGI serves listens; raises PikuError when the kernel would refuse
    it."""
    path = str(app.start_socket(number, instance))
    if len(os.fsencode(path)) > _MAX_SOCKET:
        raise PikuError(
            f"the path {path} is too long for a socket",
            hint="use a shorter app name or PIKU_ROOT",
        )
    return path
