"""Whether the names of apps lead to this host."""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from piku import effects
from piku.operate.doctor.findings import Finding, ok, problem, warning
from piku.operate.doctor.scene import Scene
from piku.serve import acme, cloudflare

_PATIENCE = 3.0  # seconds for all names together
_LOCAL = re.compile(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL")


@dataclass(frozen=True, kw_only=True)
class Known:
    """What the name servers say of a name: its addresses, or why there are none; `absent` when they say
    that there are none."""

    addresses: tuple[str, ...] = ()
    error: str = ""
    absent: bool = False


def names(scene: Scene) -> Iterator[Finding]:
    """Each public name against this host's addresses."""
    wanted = {
        name: app for app, site in scene.sites.items() for name in site.certified if acme.is_public(name)
    }
    if not wanted:
        return
    own, networks = host_addresses(), _networks(scene)
    for name, known in lookup(wanted).items():
        yield from judged(name, wanted[name], known, own, networks)
    if scene.online:
        yield from _reached(scene, wanted)


def judged(
    name: str, app: str, known: Known, own: frozenset[str], proxies: Iterable[str] = ()
) -> Iterator[Finding]:
    """What to say of a name, given this host's addresses and the networks of a proxy that may stand before it."""
    public = sorted(address for address in own if ipaddress.ip_address(address).is_global)
    here = " or ".join(public) or "the public address of this server"
    record = f"make a DNS record for {name} that says {here}"
    if known.error and not known.absent:
        yield warning(f"{name} could not be looked up: {known.error}", f"getent ahosts {name}", app=app)
    elif not known.addresses:
        yield problem(f"{name} has no address in the DNS: nobody finds it", record, app=app)
    elif all(is_in(address, proxies) for address in known.addresses):
        yield ok(f"{name} leads to Cloudflare", app=app)
    else:
        yield from _led(name, app, known.addresses, own, public)


def _led(
    name: str, app: str, addresses: tuple[str, ...], own: frozenset[str], public: list[str]
) -> Iterator[Finding]:
    astray = [address for address in addresses if address not in own]
    said = ", ".join(astray)
    if not astray:
        yield ok(f"{name} leads here: {', '.join(addresses)}", app=app)
    elif len(astray) < len(addresses):
        yield warning(
            f"{name} leads here, and to {said} as well, which is not this host: some visitors go astray",
            f"take {said} out of the DNS records of {name}",
            app=app,
        )
    elif public or not any(ipaddress.ip_address(address).is_global for address in astray):
        yield warning(
            f"{name} leads to {said}, which is not this host",
            f"have the DNS record of {name} say {' or '.join(public) or 'the public address of this server'}",
            app=app,
        )
    else:
        yield ok(
            f"{name} leads to {said}; whether that is this host, behind a router, --online finds out", app=app
        )


def is_in(address: str, networks: Iterable[str]) -> bool:
    """Whether an address is in one of these networks."""
    one = ipaddress.ip_address(address)
    return any(one in ipaddress.ip_network(network) for network in networks)


def _networks(scene: Scene) -> tuple[str, ...]:
    return cloudflare.networks(scene.paths)


def behind(name: str) -> bool:
    """Whether a name leads to another host, such as a proxy that stands before this one."""
    if not acme.is_public(name):
        return False
    known = lookup([name])[name]
    return bool(known.addresses) and not host_addresses().intersection(known.addresses)


def host_addresses() -> frozenset[str]:
    """The addresses of this host (proc(5))."""
    four = _LOCAL.findall(effects.read(Path("/proc/net/fib_trie")))
    six = (line.split()[0] for line in effects.read(Path("/proc/net/if_inet6")).splitlines())
    return frozenset((*four, *(str(ipaddress.IPv6Address(int(text, 16))) for text in six)))


def lookup(wanted: Iterable[str]) -> dict[str, Known]:
    """Ask the system for the addresses of names, all at once. One that is not known in time is given up: the
    system's own patience may be half a minute."""
    found: dict[str, Known] = {}

    def ask(name: str) -> None:
        # Any host below it has the address of a wildcard.
        host = name.replace("*", "piku-doctor", 1)
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found[name] = Known(addresses=tuple(dict.fromkeys(str(answer[4][0]) for answer in answers)))
        except socket.gaierror as error:
            absent = error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
            found[name] = Known(error=str(error.strerror), absent=absent)
        except (OSError, UnicodeError) as error:
            found[name] = Known(error=str(error))

    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in wanted]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = Known(error=f"no name server answered within {_PATIENCE:.0f} s")
    return {name: found.get(name, late) for name in wanted}


# --- from outside --------------------------------------------------------------------------------


def _reached(scene: Scene, wanted: dict[str, str]) -> Iterator[Finding]:
    """Ask for a file that only this server has, under each name, wherever that leads."""
    word = secrets.token_hex(16)
    place = scene.paths.acme / ".well-known" / "acme-challenge" / f"piku-doctor-{word}"
    effects.write(place, word)
    try:
        for name, app in wanted.items():
            if not name.startswith("*."):
                yield _answered(scene, name, app, place.name, word)
    finally:
        effects.remove(place)


def _answered(scene: Scene, name: str, app: str, file: str, word: str) -> Finding:
    port = scene.platform.http_port
    connection = HTTPConnection(name, port, timeout=5)
    try:
        connection.request("GET", f"/.well-known/acme-challenge/{file}", headers={"User-Agent": "piku"})
        answer = connection.getresponse()
        if answer.read(100) == word.encode():
            return ok(f"{name} reaches this server from outside", app=app)
        if 300 <= answer.status < 400 and (answer.headers["Location"] or "").startswith(f"https://{name}"):
            return ok(f"{name} reaches a proxy, which redirects to https", app=app)
        said = f"answers {answer.status}"
    except (OSError, HTTPException) as error:
        fix = f"open port {port} in the firewall of this server, or forward it on the router before it"
        return problem(f"http://{name}:{port}/ reaches nobody: {error}", fix, app=app)
    finally:
        connection.close()
    return problem(
        f"{name} leads to another server, which {said}",
        f"have the DNS record of {name} say this server",
        app=app,
    )
