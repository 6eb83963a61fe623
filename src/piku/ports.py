"""Listeners and connections of this host."""

import os
import re
import socket
from collections.abc import Iterable
from itertools import islice

from piku import subprocesses
from piku.errors import PikuError

# Outside the kernel's ephemeral range (32768 to 60999), so that no outgoing connection takes one.
PORTS = range(20000, 30000)
_claims: list[socket.socket] = []  # until this process ends: then its app listens


def cannot_listen(address: str, port: int) -> str:
    """Why no program could listen there now; empty when one could."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            probe.listen(1)
    except OSError as error:
        return os.strerror(error.errno or 0)
    return ""


def _claim(port: int) -> bool:
    """Whether no other piku of this machine has just chosen this port for a start of its own."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0piku-port-{port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def free_ports(address: str, count: int, used: Iterable[int]) -> list[int]:
    """`count` ports nobody listens on and no app has; raises PikuError when there are none left."""
    taken = set(used)
    begin = int.from_bytes(os.urandom(2)) % len(PORTS)
    candidates = (port for port in (*PORTS[begin:], *PORTS[:begin]) if port not in taken)
    free = (port for port in candidates if not cannot_listen(address, port) and _claim(port))
    found = list(islice(free, count))
    if len(found) < count:
        raise PikuError(f"no free port between {PORTS[0]} and {PORTS[-1]}")
    return found


def connections(addresses: Iterable[str]) -> int:
    """How many clients are connected to these listeners ("ADDRESS:PORT", or a socket's path); of
    one on another host, those from here."""
    given = [address for address in addresses if address]
    here = (
        re.escape(address) if address.startswith("/") else rf"\S+:{address.rpartition(':')[2]}"
        for address in given
    )
    there = (rf"\S+ +{re.escape(address)}" for address in given)
    listing = subprocesses.run(["ss", "-Hntx", "state", "established"]) if given else ""
    patterns = (rf"^\w+ +\d+ +\d+ +(?:{'|'.join(ends)}) " for ends in (here, there))
    return max(len(re.findall(pattern, listing, re.MULTILINE)) for pattern in patterns)


def listening(pids: Iterable[int]) -> list[str]:
    """Where these processes listen, each as "ADDRESS:PORT"."""
    wanted = set(pids)
    found = set()
    for line in subprocesses.run(["ss", "-Hntlp"]).splitlines():
        if wanted & {int(pid) for pid in re.findall(r",pid=(\d+),", line)}:
            found.add(line.split()[3])
    return sorted(found)
