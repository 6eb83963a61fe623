"""Setting a server up, and running what serves: `piku setup`, `piku up`, and the two system services.

The services do in two halves what `piku up` does at once. Each half holds a lock as long as it runs, so
that nobody serves the same root twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import NoReturn

from piku import files, locks, ports, procfs, subprocesses
from piku.deploy import live_sites, recovery
from piku.errors import PikuError
from piku.extras.limits import cgroups, limits
from piku.nginx import main_config, service, site_state
from piku.nginx.site import Platform
from piku.output import Output
from piku.paths import Paths
from piku.uwsgi import emperor, housekeeping, ini

_PROGRAMS = {"nginx": "nginx", "uwsgi": "uwsgi-core", "git": "git", "openssl": "openssl"}

# Who serves holds these as long as it does; the numbers are known to templates/up.sh.
_NGINX_LOCK, _EMPEROR_LOCK = 8, 9


def setup(paths: Paths, calling: Sequence[str] = ()) -> list[str]:
    """Make the folders and files of a server; what is there stays. Returns what was made.

    `calling` is how programs that we start call this very piku.
    """
    made = [name for name in paths.FOLDERS if not (paths.root / name).is_dir()]
    for name in made:
        # nginx and uWSGI run as the same user: nobody else has any business in here.
        (paths.root / name).mkdir(parents=True, mode=0o750)
    emperor = ini.emperor(
        str(paths.enabled),
        str(paths.emperor_stats),
        str(paths.uwsgi / "emperor.pid"),
        str(paths.emperor_log),
    )
    main = main_config.main_config(
        str(paths.root), f"{paths.nginx}/*.conf", service.platform(paths)
    )
    texts = {paths.emperor_ini: emperor, paths.nginx_main: main}
    if calling:
        texts[paths.available / housekeeping.VASSAL] = housekeeping.config(paths, calling)
    for path, text in texts.items():
        if files.read(path) != text:
            files.write(path, text)
            made.append(path.name)
    if not paths.server_env.exists():
        files.write(
            paths.server_env,
            "# Settings for every app of this server, one NAME=value a line.\n",
            mode=0o600,
        )
        made.append(paths.server_env.name)
    return made


def missing_programs() -> list[str]:
    """The Debian packages of the programs that are not here."""
    return [
        package for program, package in _PROGRAMS.items() if subprocesses.which(program) is None
    ]


def up(paths: Paths, platform: Platform, output: Output, calling: Sequence[str]) -> NoReturn:
    """Run nginx and the emperor in the foreground, in place of this process; raises PikuError."""
    _prepare(paths, calling)
    _hold(paths.nginx, _NGINX_LOCK)
    _hold(paths.uwsgi, _EMPEROR_LOCK)
    _end_leftovers({service.master_pid(paths): signal.SIGTERM, emperor.pid(paths): signal.SIGINT})
    _listen(paths, platform)
    _take_cgroups(paths)
    recovery.recover_all(paths, output)
    install_sites(paths, output)
    script = resources.files("piku") / "templates" / "up.sh"
    where = platform.host if platform.host and platform.host != "0.0.0.0" else "localhost"  # noqa: S104 (compared)
    output.step(
        f"piku serves http://{where}:{platform.http_port}/ and https://{where}:{platform.https_port}/"
    )
    output.detail("Stop it with Ctrl-C")
    os.umask(0o027)
    subprocesses.exec_program(
        ["bash", str(script), str(subprocesses.which("nginx")), str(paths.nginx_main),
         str(subprocesses.which("uwsgi")), str(paths.emperor_ini), service.GLIBC_TUNABLES],
        cwd=paths.root, env=_clean(),
    )  # fmt: skip


def serve_nginx(
    paths: Paths, platform: Platform, output: Output, calling: Sequence[str]
) -> NoReturn:
    """Become nginx, for its service: it goes to the background once it listens. Raises PikuError."""
    _prepare(paths, calling)
    _hold(paths.nginx, _NGINX_LOCK)
    _end_leftovers({service.master_pid(paths): signal.SIGTERM})
    _listen(paths, platform)
    install_sites(paths, output)
    os.umask(0o027)
    nginx = str(subprocesses.which("nginx"))
    variables = {**_clean(), "GLIBC_TUNABLES": service.GLIBC_TUNABLES}
    subprocesses.exec_program(
        [nginx, "-e", "stderr", "-c", str(paths.nginx_main)], cwd=paths.root, env=variables
    )


def serve_emperor(paths: Paths, output: Output, calling: Sequence[str]) -> NoReturn:
    """Become the emperor, for its service, with every app as its live record says. Raises PikuError."""
    _prepare(paths, calling)
    _hold(paths.uwsgi, _EMPEROR_LOCK)
    _end_leftovers({emperor.pid(paths): signal.SIGINT})
    _take_cgroups(paths)
    recovery.recover_all(paths, output)
    os.umask(0o027)
    program = str(subprocesses.which("uwsgi"))
    _tell_systemd(os.environ.get("NOTIFY_SOCKET", ""))
    subprocesses.exec_program(
        [program, "--ini", str(paths.emperor_ini)], cwd=paths.root, env=_clean()
    )


def _tell_systemd(address: str) -> None:
    """Say that we are ready (sd_notify(3)). uWSGI could, but then has a second process for it, which takes
    the signals that are to wake the emperor."""
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.sendto(b"READY=1", f"\0{address[1:]}" if address.startswith("@") else address)


def _prepare(paths: Paths, calling: Sequence[str]) -> None:
    missing = missing_programs()
    if missing:
        raise PikuError(
            f"this server lacks: {', '.join(missing)}",
            hint=f"install with: apt-get install {' '.join(missing)}",
        )
    setup(paths, calling)


def _listen(paths: Paths, platform: Platform) -> None:
    _refuse_taken_ports(platform)
    files.write_json(paths.platform, asdict(platform), mode=0o644)


def platform_of(http_port: int | None, https_port: int | None, host: str | None) -> Platform:
    """Where to listen: as asked for now, on every address and the standard ports by default."""
    ipv6 = ports.has_ipv6()
    return Platform(
        http_port=http_port or 80, https_port=https_port or 443, host=host or "", ipv6=ipv6
    )


def _clean() -> dict[str, str]:
    # Every app inherits the emperor's variables: they get none that happened to be around.
    return {
        "PATH": subprocesses.SYSTEM_PATH,
        "LANG": "C.UTF-8",
        "HOME": os.environ.get("HOME", "/"),
    }


def _take_cgroups(paths: Paths) -> None:
    """Divide the cgroup that we were started in, if it was given to us; all that we start is in a leaf."""
    own, mounts = (files.read(Path("/proc/self", name)) for name in ("cgroup", "mountinfo"))
    given = cgroups.take(cgroups.located(own, mounts))
    cgroups.publish(limits.place(paths.root), given)
    for group in cgroups.groups(limits.place(paths.root)):
        cgroups.remove_empty(group)


def _hold(folder: Path, number: int) -> None:
    """Hold the lock of who serves from this folder, in the descriptor of that number."""
    handle = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PikuError(
            "piku runs already on this root",
            hint="stop that one first (its services: systemctl stop piku-nginx piku-emperor), or set PIKU_ROOT",
        ) from None
    # The program that takes our place keeps this descriptor, and with it the lock.
    if handle == number:
        os.set_inheritable(handle, True)
    else:
        os.dup2(handle, number, inheritable=True)
        os.close(handle)


def _end_leftovers(left: Mapping[int | None, signal.Signals]) -> None:
    """End what a platform that was killed left running, by its signal: nobody watches over it."""
    pids = {pid: number for pid, number in left.items() if pid is not None}
    for pid, number in pids.items():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    for _ in files.poll(time.monotonic() + 20):
        if not any(procfs.is_running(pid) for pid in pids):
            return


def _refuse_taken_ports(platform: Platform) -> None:
    address = platform.host or "0.0.0.0"  # noqa: S104 (a web server)
    for port in (platform.http_port, platform.https_port):
        problem = ports.cannot_listen(address, port)
        if problem:
            raise PikuError(
                f"piku cannot listen on {address}:{port}: {problem}",
                hint="choose others with --http-port and --https-port, or see who has it: ss -ltnp",
            )


def install_sites(paths: Paths, output: Output) -> None:
    """Install every app's nginx file; one that nginx refuses is set aside, so that the rest is served."""
    with locks.lock(paths.uwsgi / "nginx.lock", "starting nginx"):
        for name in paths.app_names():
            files.remove(paths.app(name).refused)
        complete, unclear = site_state.all_of(paths, live_sites.load(paths)[0])
        for name in unclear:
            output.warn(f"{name} keeps its file for nginx: what belongs to it is damaged")
        refused = live_sites.set_aside(paths, complete, output.warn)
        service.install(
            paths,
            {name: pair for name, pair in complete.items() if name not in refused},
            keep=unclear,
        )
        _set_foreign_aside(paths, output)
        live_sites.follow(paths, live_sites.load(paths)[0])


def _set_foreign_aside(paths: Paths, output: Output) -> None:
    """Have nginx judge all that it is about to read; a file of somebody else's must not keep it down."""
    while service.foreign(paths):
        try:
            service.check_installed(paths)
            return
        except PikuError as error:
            culprit = next(
                (file for file in service.foreign(paths) if str(file) in error.message), None
            )
            if culprit is None:
                raise
            output.warn(f"{culprit.name} is NOT used: {error.message}")
            output.warn(f"piku did not write it; it is kept as {culprit.name}.refused")
            culprit.rename(f"{culprit}.refused")
