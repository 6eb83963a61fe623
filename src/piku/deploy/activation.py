"""Starting a release's processes: their addresses, files, and proof that they are well."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from piku import effects
from piku.app import settings
from piku.deploy import environment, records
from piku.deploy.plan import Plan
from piku.deploy.records import Activation, Process, Release
from piku.deploy.source import Source
from piku.errors import PikuError
from piku.output import Output
from piku.paths import SEPARATOR, AppName, AppPaths, Paths
from piku.runtimes import python
from piku.serve import sockets, tls, uwsgi
from piku.serve.nginx import Site

# The kernel refuses a longer path for a unix socket (unix(7)).
_MAX_SOCKET = 107
_HIDDEN = ("/ENV", "/Procfile")


def create(
    paths: Paths, app: AppPaths, release: Release, source: Source, plan: Plan, output: Output,
    *, carried: Sequence[Process] = (), canary: bool = False, stopped: bool = False,
) -> Activation:  # fmt: skip
    """Write everything that the processes of a release need to start; nothing runs yet.

    `carried` are processes of the live activation that go on. A `canary` listens on a socket of its
    own in place of the port that the live release holds: it shows whether the app loads at all
    before that one is stopped.
    """
    number = records.next_activation(app)
    going_on = {(process.kind, process.instance): process for process in carried}
    wanted = [key for key in _wanted(plan, canary) if key not in going_on]
    with effects.lock(paths.uwsgi / "ports.lock", "assigning ports"):
        served = [key for key in wanted if key[0] == plan.serving]
        started = [
            *_serving(paths, app, number, source, plan, served, by_socket=canary or plan.port == "socket"),
            *(Process(kind=k, instance=i, origin=number) for k, i in wanted if k != plan.serving),
        ]
        processes = (*carried, *started)
        activation = Activation(
            number=number,
            release=release.number,
            checkout=release.checkout,
            processes=processes,
            site=_site(app, source, [p for p in processes if p.address], plan),
            drain_timeout=settings.DRAIN_TIMEOUT.read(source.values),
            stop_timeout=settings.STOP_TIMEOUT.read(source.values),
            stopped=stopped,
        )
        records.save_activation(app, activation)
    for process in started:
        _write_process(paths, app, release, source, activation, process, output)
    return activation


def _wanted(plan: Plan, canary: bool) -> list[tuple[str, int]]:
    counts = ((plan.serving, plan.instances), *(() if canary else plan.workers))
    return [(kind, instance) for kind, count in counts for instance in range(1, count + 1)]


# --- addresses -----------------------------------------------------------------------------------


def _serving(
    paths: Paths, app: AppPaths, number: int, source: Source, plan: Plan,
    keys: Sequence[tuple[str, int]], *, by_socket: bool,
) -> list[Process]:  # fmt: skip
    if by_socket:
        return [Process(kind=k, instance=i, origin=number, address=_socket(app, number, i)) for k, i in keys]
    if not keys:
        return []
    bind = settings.BIND_ADDRESS.read(source.values)
    ports = _ports(paths, app, source, plan, bind, len(keys))
    reach = "127.0.0.1" if bind == "0.0.0.0" else bind  # noqa: S104 (compared, not bound)
    return [
        Process(kind=kind, instance=instance, origin=number, port=port, address=f"{reach}:{port}")
        for (kind, instance), port in zip(keys, ports, strict=True)
    ]


def _ports(paths: Paths, app: AppPaths, source: Source, plan: Plan, bind: str, count: int) -> list[int]:
    others = ports_in_use(paths, except_app=app.name)
    if plan.port == "each":
        mine = ports_in_use(paths, only_app=app.name)
        return sockets.free_ports(bind, count, {*others, *mine})
    port = settings.PORT.read(source.values) if plan.port == "fixed" else kept_port(app)
    if port is None:
        [port] = sockets.free_ports(bind, 1, others)
        effects.write(app.releases / "port", f"{port}\n", durable=True)
    if port in others:
        raise PikuError(f"port {port} belongs to the app {others[port]!r}", hint="choose another PORT")
    return [port]


def kept_port(app: AppPaths) -> int | None:
    """The port that was assigned to the app for good, if one was."""
    text = effects.read(app.releases / "port").strip()
    return int(text) if text.isdigit() else None


def ports_in_use(
    paths: Paths, *, except_app: AppName | None = None, only_app: AppName | None = None
) -> dict[int, AppName]:
    """The ports that apps have, whether their processes run or not."""
    found: dict[int, AppName] = {}
    for name in paths.app_names():
        if name == except_app or (only_app and name != only_app):
            continue
        app = paths.app(name)
        for number in records.activation_numbers(app):
            activation = records.load_activation(app, number)
            found |= {
                process.port: name for process in (activation.processes if activation else ()) if process.port
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


# --- nginx ---------------------------------------------------------------------------------------


def _site(app: AppPaths, source: Source, served: Sequence[Process], plan: Plan) -> Site | None:
    names = settings.SERVER_NAME.read(source.values)
    if not names:
        return None
    folder = source.procfile.command("static")
    backend = "" if not served else "uwsgi" if plan.port == "socket" else "http"
    wanted = settings.INCLUDE_FILE.read(source.values)
    return Site(
        app=app.name,
        names=names,
        certificate=str(tls.certificate(app, names)),
        backend=backend,
        upstreams=tuple(_upstream(app, process, plan) for process in served),
        static_root=str(app.live_link / folder) if folder else "",
        hidden=_HIDDEN if folder and Path(folder) == Path(".") else (),
        https_only=settings.HTTPS_ONLY.read(source.values),
        ipv4=settings.IPV4_ADDRESS.read(source.values),
        ipv6=settings.IPV6_ADDRESS.read(source.values),
        no_ipv6=settings.DISABLE_IPV6.read(source.values),
        allow_git=settings.ALLOW_GIT.read(source.values),
        include=_include(app, source, wanted) if wanted else "",
    )


def _upstream(app: AppPaths, process: Process, plan: Plan) -> str:
    # A wsgi app is switched by replacing the link that nginx connects to, without a reload.
    return f"unix:{app.socket(process.instance)}" if plan.port == "socket" else process.address


def _include(app: AppPaths, source: Source, wanted: str) -> str:
    """A copy of the app's include file, named by its content: later edits cannot break nginx."""
    checkout = (app.releases / source.checkout).resolve()
    file = (checkout / wanted).resolve()
    if not file.is_relative_to(checkout):
        raise PikuError(f"NGINX_INCLUDE_FILE={wanted} leads outside the app's folder")
    if not file.is_file():
        raise PikuError(f"NGINX_INCLUDE_FILE={wanted}: there is no such file in this commit")
    text = effects.read(file)
    copy = app.releases / f"include-{source.commit[:12]}-{Path(wanted).name}"
    effects.write(copy, text)
    return str(copy)


# --- uWSGI ---------------------------------------------------------------------------------------


def starts_file(app: AppPaths, process: Process) -> Path:
    """Where a daemon process notes each of its starts."""
    return app.activation(process.origin) / f"{process.worker}.starts"


def log_file(app: AppPaths, process: Process) -> Path:
    """The log of one start of a process; `logs/APP/KIND.N.log` links to the live one's."""
    return app.logs / f"{process.worker}{SEPARATOR}{process.origin}.log"


def _write_process(
    paths: Paths, app: AppPaths, release: Release, source: Source,
    activation: Activation, process: Process, output: Output,
) -> None:  # fmt: skip
    folder = app.activation(activation.number)
    worker = process.worker
    context = source.context(app)
    seen = environment.variables(paths, app, release, source.values, source.runtime.env(context), process)
    environment.write_folder(folder / f"{worker}.env", seen)
    app.logs.mkdir(parents=True, exist_ok=True)
    app.data.mkdir(parents=True, exist_ok=True)
    vassal = uwsgi.Vassal(
        checkout=str(app.releases / release.checkout),
        envdir=str(folder / f"{worker}.env"),
        log=str(log_file(app, process)),
        log_backup=str(app.logs / f"{worker}.log.old"),
        log_maxsize=settings.LOG_MAXSIZE.read(source.values),
        stop_timeout=activation.stop_timeout,
    )
    if process.kind == "wsgi":
        text = uwsgi.wsgi(vassal, _wsgi(app, source, release, process, output))
    else:
        runner = folder / f"{worker}.sh"
        argv = effects.shell(source.procfile.command(process.kind))
        effects.write(runner, uwsgi.runner(argv, str(starts_file(app, process))))
        text = uwsgi.daemon(vassal, str(runner))
    effects.write(paths.available / f"{process.vassal(app.name)}.ini", text, mode=0o640)


def _wsgi(app: AppPaths, source: Source, release: Release, process: Process, output: Output) -> uwsgi.Wsgi:
    values = source.values
    bind = f"{settings.BIND_ADDRESS.read(values)}:{process.port}"
    return uwsgi.Wsgi(
        module=source.procfile.command("wsgi"),
        plugin=python.wsgi_plugin(values),
        virtualenv=str(app.envs / release.environment) if release.environment else "",
        address=bind if process.port else process.address,
        processes=settings.PROCESSES.read(values),
        threads=settings.THREADS.read(values),
        listen=_listen(values, output),
        max_requests=settings.MAX_REQUESTS.read(values),
        enable_threads=settings.ENABLE_THREADS.read(values),
    )


def _listen(values: Mapping[str, str], output: Output) -> int:
    wanted = settings.LISTEN.read(values)
    allowed = int(effects.read(Path("/proc/sys/net/core/somaxconn")) or 128)
    if wanted > allowed:
        if settings.LISTEN.name in values:
            output.warn(f"UWSGI_LISTEN={wanted} is more than the kernel allows: using {allowed}")
        return allowed
    return wanted
