"""Setting a server up, and running the platform: `piku setup`, `piku up`, the two system services.

The services do in two halves what `piku up` does at once. Each half holds a lock as long as it
runs, so that nothing else serves the same root.
"""

import contextlib
import fcntl
import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from piku import files, ports, procfs, records, subprocesses
from piku.deploy import live_sites, recovery
from piku.errors import PikuError
from piku.extra import hooks
from piku.nginx import main_config, service
from piku.nginx.site import Platform
from piku.output import Output
from piku.paths import TEMPLATES, Paths
from piku.uwsgi import emperor, housekeeping, ini

_PROGRAMS = {
    "nginx": "nginx", "uwsgi": "uwsgi-core", "git": "git", "openssl": "openssl", "ss": "iproute2",
}  # fmt: skip
_SERVER_ENV = "# Settings for every app of this server, one NAME=value a line.\n"
# Descriptors of the locks that a running half holds; templates/up.sh knows the numbers.
_NGINX_LOCK, _EMPEROR_LOCK = 8, 9
# nginx's processes share the memory of the configuration. The C library's lists of freed memory
# would copy it for each of them: half as much again for every app.
_NGINX_MEMORY = "GLIBC_TUNABLES=glibc.malloc.mxfast=0:glibc.malloc.tcache_count=0"


def setup(paths: Paths, argv: Sequence[str] = (), platform: Platform | None = None) -> list[str]:
    """Make the folders and files of a server; returns what was missing or out of date.

    `argv` is how programs that we start call this piku.
    """
    made = [name for name in paths.FOLDERS if not (paths.root / name).is_dir()]
    for name in made:
        (paths.root / name).mkdir(parents=True, mode=0o750)
    texts = {
        paths.emperor_ini: ini.emperor(paths),
        paths.nginx_main: main_config.main_config(service.platform(paths, platform)),
        paths.server_env: files.read(paths.server_env) or _SERVER_ENV,
    }
    if argv:
        texts[paths.available / housekeeping.VASSAL] = housekeeping.config(paths, argv)
    for path, text in texts.items():
        if files.peek(path) != text:
            files.write(path, text, mode=0o600)
            made.append(path.name)
    return made


def missing_programs() -> list[str]:
    """The Debian packages of required programs that are not installed."""
    return [package for name, package in _PROGRAMS.items() if subprocesses.which(name) is None]


# --- running -------------------------------------------------------------------------------------


def up(paths: Paths, platform: Platform, output: Output, argv: Sequence[str]) -> NoReturn:
    """Run nginx and the emperor in the foreground, in place of this process; raises PikuError."""
    _prepare(paths, argv, platform)
    _take_over(paths.nginx, _NGINX_LOCK, service.master_pid(paths), signal.SIGTERM)
    _take_over(paths.uwsgi, _EMPEROR_LOCK, emperor.pid(paths), signal.SIGINT)
    _listen(paths, platform)
    _reconcile(paths, output)
    live_sites.install_all(paths, output.warn)
    host = platform.host or "localhost"
    http, https = f"http://{host}:{platform.http_port}/", f"https://{host}:{platform.https_port}/"
    output.step(f"piku serves {http} and {https}")
    output.detail("Stop it with Ctrl-C")
    script = TEMPLATES / "up.sh"
    nginx, uwsgi = (str(subprocesses.which(name)) for name in ("nginx", "uwsgi"))
    main, emperor_ini = str(paths.nginx_main), str(paths.emperor_ini)
    _exec(paths, "bash", str(script), nginx, main, uwsgi, emperor_ini, _NGINX_MEMORY)


def serve_nginx(paths: Paths, platform: Platform, output: Output, argv: Sequence[str]) -> NoReturn:
    """Become nginx, for its service: it goes to the background once it listens."""
    _prepare(paths, argv, platform)
    _take_over(paths.nginx, _NGINX_LOCK, service.master_pid(paths), signal.SIGTERM)
    _listen(paths, platform)
    live_sites.install_all(paths, output.warn)
    _exec(paths, "env", _NGINX_MEMORY, "nginx", "-e", "stderr", "-c", str(paths.nginx_main))


def serve_emperor(paths: Paths, output: Output, argv: Sequence[str]) -> NoReturn:
    """Become the emperor, for its service, after every app was reconciled. Raises PikuError."""
    _prepare(paths, argv)
    _take_over(paths.uwsgi, _EMPEROR_LOCK, emperor.pid(paths), signal.SIGINT)
    _reconcile(paths, output)
    try:
        live_sites.update(paths, output.warn)  # of the nginx that may run already
    except PikuError as error:
        output.error(error)  # apps that it serves must start nevertheless
    # uWSGI could notify systemd itself, but by a second process, which takes the emperor's signals.
    if address := os.environ.get("NOTIFY_SOCKET", ""):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.sendto(b"READY=1", f"\0{address[1:]}" if address.startswith("@") else address)
    _exec(paths, "uwsgi", "--ini", str(paths.emperor_ini))


def _prepare(paths: Paths, argv: Sequence[str], platform: Platform | None = None) -> None:
    if os.geteuid() == 0:
        hint = "run it as an ordinary user, or install the package, which makes one for piku"
        raise PikuError("as root, every app could do anything on this server", hint=hint)
    if missing := missing_programs():
        hint = f"install with: apt-get install {' '.join(missing)}"
        raise PikuError(f"this server lacks: {' '.join(missing)}", hint=hint)
    setup(paths, argv, platform)


def _take_over(folder: Path, number: int, left: int | None, end: signal.Signals) -> None:
    """Lock this half of the platform, in the descriptor of that number, and end the process that
    one that was killed left running."""
    handle = os.open(folder / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise PikuError(
            "piku is already running on this root",
            hint="stop that one first (its services: systemctl stop piku-nginx piku-emperor),"
            " or set PIKU_ROOT",
        ) from None
    # The program that takes our place inherits this descriptor, and with it the lock.
    os.dup2(handle, number)
    os.set_inheritable(number, True)
    if left is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(left, end)
    for _ in files.poll(time.monotonic() + 20):
        if not procfs.is_running(left):
            return
    hint = f"it waits for processes of apps; start again later, or: kill -9 {left}"
    raise PikuError(f"process {left} of the last start has not ended", hint=hint)


def _listen(paths: Paths, platform: Platform) -> None:
    service.end_orphans(paths)
    address = platform.host or "0.0.0.0"  # noqa: S104 (a web server)
    for port in (platform.http_port, platform.https_port):
        if problem := ports.cannot_listen(address, port):
            raise PikuError(
                f"piku cannot listen on {address}:{port}: {problem}",
                hint="choose others with --http-port and --https-port; what uses it: ss -ltnp",
            )
    records.save(paths.platform, service.platform(paths, platform))


def _reconcile(paths: Paths, output: Output) -> None:
    for starting in hooks("starting"):
        starting(paths)
    recovery.recover_all(paths, output)


def _exec(paths: Paths, *argv: str) -> NoReturn:
    os.umask(0o027)
    # Apps inherit the emperor's variables: they get none that happened to be set.
    home = os.environ.get("HOME", "/")
    variables = {"PATH": subprocesses.SYSTEM_PATH, "LANG": "C.UTF-8", "HOME": home}
    subprocesses.exec_program(argv, cwd=paths.root, env=variables)
