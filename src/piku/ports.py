"""What the kernel says of listeners and connections (proc(5), /proc/net)."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable
from pathlib import Path

from piku.errors import PikuError

# Outside the kernel's ephemeral range (32768 to 60999), so that no outgoing connection takes one.
PORTS = range(20000, 30000)
_ESTABLISHED, _LISTEN = "01", "0A"


def is_free(address: str, port: int) -> bool:
    """Whether a program could listen there now."""
    return not cannot_listen(address, port)


def cannot_listen(address: str, port: int) -> str:
    """Why no program could listen there now; empty when one could."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            return os.strerror(error.errno or 0)
    return ""


def free_ports(address: str, count: int, used: Iterable[int]) -> list[int]:
    """`count` ports nobody listens on and no app has; raises PikuError when there are none left."""
    taken = set(used)
    found: list[int] = []
    # Two servers on one machine that look at the same moment must not find the same ones.
    begin = int.from_bytes(os.urandom(2)) % len(PORTS)
    for port in (*PORTS[begin:], *PORTS[:begin]):
        if len(found) == count:
            break
        if port not in taken and is_free(address, port):
            found.append(port)
    if len(found) < count:
        raise PikuError(f"no free port between {PORTS[0]} and {PORTS[-1]}")
    return found


def has_ipv6() -> bool:
    """Whether this host can listen on IPv6."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def connections(addresses: Iterable[str]) -> int:
    """How many clients are connected to these listeners ("ADDRESS:PORT", or a socket's path)."""
    wanted = set(addresses)
    ports = {int(address.rpartition(":")[2]) for address in wanted if not address.startswith("/")}
    total = 0
    if ports:
        total += sum(1 for port, state, _ in _tcp() if state == _ESTABLISHED and port in ports)
    if paths := {address for address in wanted if address.startswith("/")}:
        total += sum(1 for path, listening in _unix() if path in paths and not listening)
    return total


def listening(pids: Iterable[int]) -> list[int]:
    """The TCP ports on which these processes listen."""
    inodes = {inode for pid in pids for inode in _socket_inodes(pid)}
    return sorted({port for port, state, inode in _tcp() if state == _LISTEN and inode in inodes})


def _tcp() -> Iterable[tuple[int, str, str]]:
    for table in ("tcp", "tcp6"):
        for line in _lines(f"/proc/net/{table}"):
            fields = line.split()
            yield int(fields[1].rpartition(":")[2], 16), fields[3], fields[9]


def _unix() -> Iterable[tuple[str, bool]]:
    # Num RefCount Protocol Flags Type St Inode Path; the flag 00010000 marks a listener.
    for line in _lines("/proc/net/unix"):
        fields = line.split(maxsplit=7)
        if len(fields) == 8:
            yield fields[7], fields[3] == "00010000"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(errors="replace").splitlines()[1:]
    except OSError:
        return []


def _socket_inodes(pid: int) -> Iterable[str]:
    folder = f"/proc/{pid}/fd"
    try:
        handles = os.listdir(folder)
    except OSError:
        return
    for handle in handles:
        try:
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"{folder}/{handle}"))
        except OSError:
            continue
        if match:
            yield match[1]
