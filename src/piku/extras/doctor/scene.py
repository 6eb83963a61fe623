"""What the checks look at: each part is looked up once, when a check first asks for it."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from piku import files
from piku.deploy import releases
from piku.deploy.releases import Live
from piku.errors import PikuError
from piku.nginx import service
from piku.nginx.site import Platform, Site
from piku.operate.ps import States
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor

_LISTEN = "0A"


@dataclass(frozen=True, kw_only=True)
class Listener:
    """A TCP socket that waits for connections; `inode` is its number, by which its process is found."""

    address: str
    port: int
    uid: int
    inode: str

    @property
    def everywhere(self) -> bool:
        return self.address in ("0.0.0.0", "::")  # noqa: S104 (compared)

    @property
    def place(self) -> str:
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else f"{self.address}:{self.port}"
        )


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The server as it is now. `only` is the app that was asked about; `url` is what to ask it for;
    `online` allows questions to others than this host and its name servers."""

    paths: Paths
    only: AppPaths | None = None
    url: str = "/"
    online: bool = False

    @cached_property
    def apps(self) -> list[AppPaths]:
        if self.only is not None:
            return [self.only]
        return [self.paths.app(name) for name in self.paths.app_names()]

    @cached_property
    def live(self) -> dict[str, Live]:
        """The live activation of each app that is looked at. Of a damaged record another check tells."""
        found = {}
        for app in self.apps:
            try:
                live = releases.live(app)
            except PikuError:
                continue
            if live is not None:
                found[str(app.name)] = live
        return found

    @cached_property
    def sites(self) -> dict[str, Site]:
        """What nginx is to serve of these apps."""
        return {name: live.site for name, live in self.live.items() if live.site is not None}

    @cached_property
    def states(self) -> States | None:
        return emperor.observe(self.paths)

    @cached_property
    def platform(self) -> Platform:
        return service.platform(self.paths)

    @cached_property
    def nginx(self) -> int | None:
        """The process of piku's nginx."""
        return service.master_pid(self.paths)

    @cached_property
    def listeners(self) -> list[Listener]:
        return [*_listeners("tcp", socket.AF_INET), *_listeners("tcp6", socket.AF_INET6)]

    @cached_property
    def managed(self) -> bool:
        """Whether systemd runs this platform, by the units of the package."""
        return bool(unit_files(self.paths))


def user(uid: int | None = None) -> str:
    """The name of a user, by default our own."""
    number = os.getuid() if uid is None else uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


UNITS = ("piku-nginx.service", "piku-emperor.service")
_UNIT_FOLDERS = ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")


def unit_files(paths: Paths) -> list[str]:
    """The units that systemd has for this very platform; none where systemd does not run."""
    if not Path("/run/systemd/system").is_dir() or paths.root != paths.home / ".piku":
        return []
    texts = {
        unit: "".join(files.read(Path(folder, unit)) for folder in _UNIT_FOLDERS) for unit in UNITS
    }
    return [unit for unit, text in texts.items() if f"User={user()}\n" in text]


def _listeners(table: str, family: socket.AddressFamily) -> Iterator[Listener]:
    # proc(5): sl, local address, remote address, state, queues, timer, retransmits, uid, timeout, inode.
    for line in files.read(Path("/proc/net", table)).splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTEN:
            where, _, port = fields[1].rpartition(":")
            words = (int(where[at : at + 8], 16) for at in range(0, len(where), 8))
            packed = b"".join(struct.pack("=I", word) for word in words)
            yield Listener(
                address=socket.inet_ntop(family, packed),
                port=int(port, 16),
                uid=int(fields[7]),
                inode=fields[9],
            )


def owners(pids: Iterator[int] | list[int]) -> dict[str, int]:
    """The sockets of processes by their number; of those of other users nothing is seen."""
    found: dict[str, int] = {}
    for pid in pids:
        try:
            handles = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for handle in handles:
            try:
                name = os.readlink(f"/proc/{pid}/fd/{handle}")
            except OSError:
                continue
            if name.startswith("socket:["):
                found[name[8:-1]] = pid
    return found
