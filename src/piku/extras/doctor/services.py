"""The platform: nginx and the emperor, their units, ports and configuration."""

import os
from collections.abc import Iterator, Mapping, Sequence

from piku import procfs, subprocesses
from piku.errors import PikuError
from piku.extras.doctor.context import Context, Finding, Listener, ok, problem, warning
from piku.nginx import service
from piku.paths import AppPaths
from piku.uwsgi import emperor

_WEB_SERVERS = ("nginx", "apache2", "caddy", "lighttpd", "haproxy", "traefik")


def platform(context: Context) -> Iterator[Finding]:
    """Whether nginx and the emperor run and answer."""
    nginx, pid = service.master_pid(context.paths), emperor.pid(context.paths)
    if not (pid or nginx):
        yield problem("piku does not run here: nothing is served", context.restart())
        return
    if not nginx:
        yield problem("nginx does not run: no app can be reached", context.restart("piku-nginx"))
    fix = context.restart("piku-emperor")
    if not pid:
        yield problem("the uWSGI emperor does not run: no app does", fix)
    elif context.states is None:
        yield warning(f"the uWSGI emperor (process {pid}) did not answer", fix)


def units(context: Context) -> Iterator[Finding]:
    """The units of the package, as systemd sees them."""
    yield from judge_units(context.units)


def judge_units(units: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """Judge what `systemctl show` says of units."""
    for name, unit in units.items():
        state = unit["ActiveState"]
        if state not in ("active", "reloading", "activating"):
            yield problem(f"{name} is {state} ({unit['Result']})", f"sudo systemctl start {name}")
        if unit["UnitFileState"] == "disabled":
            yield warning(f"{name} will not start after a reboot", f"sudo systemctl enable {name}")


def ports(context: Context) -> Iterator[Finding]:
    """Whether nginx, and no other program, listens on the ports for HTTP and HTTPS."""
    where, nginx = service.platform(context.paths), service.master_pid(context.paths)
    for port in (where.http_port, where.https_port):
        there = [one for one in context.listeners if one.port == port]
        # `ss` cannot see into an nginx that may bind low ports: then its user must do.
        ours = [one for one in there if one.uid == os.getuid() and one.program in ("nginx", "")]
        if nginx and ours:
            yield ok(f"nginx listens on port {port}")
        elif there:
            holder, fix = _holder(there[0])
            yield problem(f"nginx has not got port {port}: {holder} holds it", fix)
        elif nginx:
            fix = context.restart("piku-nginx")
            yield problem(f"nginx does not listen on port {port}", fix)


def _holder(listener: Listener) -> tuple[str, str]:
    commands = [procfs.command(int(pid)) for pid in os.listdir("/proc") if pid.isdigit()]
    states: list[str] = []
    if subprocesses.which("systemctl"):
        states = subprocesses.run(["systemctl", "is-active", *_WEB_SERVERS], check=False).split()
    active = [name for name, state in zip(_WEB_SERVERS, states, strict=False) if state == "active"]
    return name_holder(listener, commands, active)


def name_holder(
    listener: Listener, commands: Sequence[str], active: Sequence[str]
) -> tuple[str, str]:
    """What holds a port and how to free it, by all command lines and the web servers that run."""
    if listener.program:
        return f"{listener.program} (process {listener.pid})", f"kill {listener.pid}"
    if any("docker-proxy" in line and f"-host-port {listener.port} " in line for line in commands):
        containers = f"sudo docker ps -q --filter publish={listener.port}"
        return "a container", f"sudo docker stop $({containers})"
    if len(active) == 1:
        return active[0], f"sudo systemctl disable --now {active[0]}"
    return "another program", f"stop what this shows: sudo ss -ltnp 'sport = :{listener.port}'"


def configuration(context: Context) -> Iterator[Finding]:
    """Whether nginx accepts its configuration."""
    if not context.paths.nginx_main.exists():
        return  # the check of folders reports that
    try:
        service.check_installed(context.paths)
        yield ok("nginx accepts its configuration")
    except PikuError as error:
        # Only nginx's own service may bind low ports; the caller of the doctor may not.
        if "bind() to" not in error.message:
            foreign = [str(one) for one in service.foreign(context.paths)]
            file = next((one for one in foreign if one in error.message), "")
            yield problem(error.message, f"mv {file} {file}.refused" if file else "piku setup")


def site(context: Context, app: AppPaths) -> Iterator[Finding]:
    """Whether nginx has the site of an app."""
    if app.refused.exists():
        what = f"nginx refused its configuration, {app.refused}: it is not served"
        yield problem(what, f"piku deploy {app.name}")
    elif context.site(app) and not app.nginx.exists():
        yield problem(f"{app.nginx} is missing", f"piku restart {app.name}")
