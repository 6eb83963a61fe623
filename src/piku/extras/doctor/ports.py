"""Who holds the ports that nginx is to listen on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from piku import files, procfs
from piku.extras.doctor import services
from piku.extras.doctor.findings import Finding, ok, problem
from piku.extras.doctor.scene import Listener, Scene, owners, user

# Of another user's sockets nobody sees the process; these are who it mostly is.
_USUAL = ("nginx", "apache2", "httpd", "caddy", "lighttpd", "haproxy", "traefik", "docker-proxy")


def ports(scene: Scene) -> Iterator[Finding]:
    """Whether nginx, and nobody else, listens on the ports for HTTP and HTTPS."""
    own = owners([scene.nginx, *procfs.children(scene.nginx)]) if scene.nginx else {}
    for port in (scene.platform.http_port, scene.platform.https_port):
        there = [one for one in scene.listeners if one.port == port]
        others = [one for one in there if not _is_ours(scene, one, own)]
        if scene.nginx and len(there) > len(others):
            yield ok(f"nginx listens on port {port}")
        elif others:
            yield problem(
                f"nginx has not got port {port}: {who(others[0])} has it", _freeing(others, port)
            )
        elif scene.nginx:
            yield problem(
                f"nginx does not listen on port {port}",
                services.starting(scene, "piku-nginx", again=True),
            )


def _is_ours(scene: Scene, listener: Listener, own: dict[str, int]) -> bool:
    if not scene.nginx:
        return False
    # Where nginx may bind low ports, its handles are not ours to see: then its user has to do.
    return listener.inode in own if own else listener.uid == os.getuid()


def _freeing(others: list[Listener], port: int) -> str:
    names = {name for one in others for name in programs_of(one)}
    if len(names) == 1 and os.getuid() != others[0].uid and (name := names.pop()) in _USUAL:
        return f"sudo systemctl disable --now {name}"
    return f"stop who has it: sudo ss -ltnp 'sport = :{port}'"


def who(listener: Listener) -> str:
    """The program and user behind a socket, as far as they can be seen."""
    names = programs_of(listener)
    return f"{' or '.join(sorted(names)) or 'another program'} of {user(listener.uid)}"


def programs_of(listener: Listener) -> set[str]:
    """The names of the program that has a socket, or, where that cannot be seen, of the usual ones of its user."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    of_user = [pid for pid in pids if _uid(pid) == listener.uid]
    pid = owners(of_user).get(listener.inode)
    if pid is not None:
        return {_name(pid)}
    return {_name(pid) for pid in of_user}.intersection(_USUAL)


def _uid(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def _name(pid: int) -> str:
    try:
        return files.read(Path(f"/proc/{pid}/comm")).strip()
    except OSError:
        return ""
