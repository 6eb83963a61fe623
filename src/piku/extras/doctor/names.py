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
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path

from piku import files
from piku.extras.doctor.findings import Finding, ok, problem, warning
from piku.extras.doctor.scene import Scene
from piku.nginx import cloudflare
from piku.tls import acme

_HTTP = 80  # where visitors come to first
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
        name: app
        for app, site in scene.sites.items()
        for name in site.certified
        if acme.is_public(name)
    }
    if not wanted:
        return
    own, networks = host_addresses(), _networks(scene)
    found = lookup(wanted)
    for name, known in found.items():
        yield from judged(name, wanted[name], known, own, networks)
    if scene.online:
        # That a name has no address is told.
        there = {name: known for name, known in found.items() if known.addresses}
        yield from _reached(
            scene, wanted, {name: sorted_out(one, own, networks) for name, one in there.items()}
        )


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """The addresses of a name: those of this host, of a known proxy, of what may be the router before this host,
    and of others."""

    own: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    router: tuple[str, ...] = ()
    astray: tuple[str, ...] = ()


def sorted_out(known: Known, own: frozenset[str], proxies: Iterable[str]) -> Sorted:
    """Whose the addresses are, each judged by its own family: a host may have a public IPv6 address, and for
    IPv4 that of its router only."""
    public = any(_is_global(address) and _family(address) == 4 for address in own)
    found: dict[str, list[str]] = {}
    for address in known.addresses:
        # Installers give a host's name an address such as 127.0.1.1, which is in no list of addresses.
        if address in own or ipaddress.ip_address(address).is_loopback:
            kind = "own"
        elif is_in(address, proxies):
            kind = "proxies"
        else:
            kind = (
                "router"
                if _is_global(address) and _family(address) == 4 and not public
                else "astray"
            )
        found.setdefault(kind, []).append(address)
    return Sorted(**{kind: tuple(some) for kind, some in found.items()})


def judged(
    name: str, app: str, known: Known, own: frozenset[str], proxies: Iterable[str] = ()
) -> Iterator[Finding]:
    """What to say of a name, given this host's addresses and the networks of a proxy that may stand before it."""
    if known.error and not known.absent:
        yield warning(
            f"{name} could not be looked up: {known.error}", f"getent ahosts {name}", app=app
        )
    elif not known.addresses:
        yield problem(
            f"{name} has no address in the DNS: nobody finds it",
            f"make a DNS record for {name} that says {_here(own, {4, 6})}",
            app=app,
        )
    else:
        yield _led(name, app, sorted_out(known, own, proxies), own)


def _led(name: str, app: str, found: Sorted, own: frozenset[str]) -> Finding:
    said, router = ", ".join(found.astray), ", ".join(found.router)
    leads = [*(["here"] if found.own else []), *([f"to {router}"] if router else [])]
    to = " and ".join([*leads, *(["to Cloudflare"] if found.proxies else [])])
    if said and to:
        return warning(
            f"{name} leads {to}, and to {said} as well, which is not this host: some visitors go astray",
            f"take {said} out of the DNS records of {name}",
            app=app,
        )
    if said:
        return warning(
            f"{name} leads to {said}, which is not this host",
            f"have the DNS record of {name} say {_here(own, {_family(one) for one in found.astray})}",
            app=app,
        )
    if router:
        whether = f"whether {router} is this host, behind a router, --online finds out"
        return ok(f"{name} leads {to}; {whether}", app=app)
    return ok(f"{name} leads {to}{': ' if found.own else ''}{', '.join(found.own)}", app=app)


def _here(own: frozenset[str], families: set[int]) -> str:
    """What a DNS record of these families is to say. Behind a router the public IPv4 address is the router's."""
    public = sorted(
        address for address in own if _is_global(address) and _family(address) in families
    )
    has_private = any(
        _family(one) == 4 and not ipaddress.ip_address(one).is_loopback for one in own
    )
    if 4 in families and has_private and not any(_family(one) == 4 for one in public):
        public.insert(0, "the public IPv4 address of the router before this server")
    return " or ".join(public) or "the public address of this server"


def _is_global(address: str) -> bool:
    return ipaddress.ip_address(address).is_global


def _family(address: str) -> int:
    return ipaddress.ip_address(address).version


def is_in(address: str, networks: Iterable[str]) -> bool:
    """Whether an address is in one of these networks."""
    one = ipaddress.ip_address(address)
    return any(one in ipaddress.ip_network(network) for network in networks)


def _networks(scene: Scene) -> tuple[str, ...]:
    return cloudflare.networks(scene.paths)


def behind(scene: Scene, name: str) -> bool:
    """Whether a name leads to another host, such as a proxy that stands before this one."""
    if not acme.is_public(name):
        return False
    return is_behind(sorted_out(lookup([name])[name], host_addresses(), _networks(scene)))


def is_behind(found: Sorted) -> bool:
    """A router is no proxy: it passes on what it gets."""
    elsewhere = found.proxies or any(_is_global(address) for address in found.astray)
    return bool(elsewhere) and not (found.own or found.router)


def host_addresses() -> frozenset[str]:
    """The addresses of this host (proc(5))."""
    four = _LOCAL.findall(files.read(Path("/proc/net/fib_trie")))
    six = (line.split()[0] for line in files.read(Path("/proc/net/if_inet6")).splitlines())
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
            found[name] = Known(
                addresses=tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))
            )
        except socket.gaierror as error:
            absent = error.errno in (
                socket.EAI_NONAME,
                getattr(socket, "EAI_NODATA", socket.EAI_NONAME),
            )
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


def _reached(scene: Scene, wanted: dict[str, str], found: dict[str, Sorted]) -> Iterator[Finding]:
    """Ask for a file that only this server has, under each name, wherever that leads."""
    word = secrets.token_hex(16)
    place = scene.paths.acme / ".well-known" / "acme-challenge" / f"piku-doctor-{word}"
    files.write(place, word)
    try:
        for name, where in found.items():
            if not name.startswith("*."):
                yield _answered(scene, name, wanted[name], where, place.name, word)
    finally:
        files.remove(place)


def _answered(scene: Scene, name: str, app: str, where: Sorted, file: str, word: str) -> Finding:
    try:
        port, answer, body = _visited(scene, name, file)
    except (OSError, HTTPException) as error:
        return _reaches_nobody(name, app, where, error)
    if body == word.encode():
        at = "" if port == _HTTP else f", at port {port}"
        return ok(f"{name} reaches this server from outside{at}", app=app)
    if 300 <= answer.status < 400 and (answer.headers["Location"] or "").startswith(
        f"https://{name}"
    ):
        return ok(f"{name} reaches a proxy, which redirects to https", app=app)
    if where.own and port != scene.platform.http_port:
        what = f"{name} reaches the web server before piku, which answers {answer.status} to what piku was asked for"
        return ok(what, app=app)
    if where.router:
        return warning(
            f"{name} is answered {answer.status} by something else than piku, as asked from here: {_HAIRPIN}",
            _from_elsewhere(name),
            app=app,
        )
    return problem(
        f"{name} leads to another server, which answers {answer.status}",
        f"have the DNS record of {name} say this server",
        app=app,
    )


def _visited(scene: Scene, name: str, file: str) -> tuple[int, HTTPResponse, bytes]:
    """What a visitor gets, and at which port: the standard one, or else piku's, which somebody may be told of."""
    try:
        return _HTTP, *_asked(name, _HTTP, file)
    except ConnectionRefusedError:
        port = scene.platform.http_port
        return port, *_asked(name, port, file)


def _asked(name: str, port: int, file: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(name, port, timeout=5)
    try:
        connection.request(
            "GET", f"/.well-known/acme-challenge/{file}", headers={"User-Agent": "piku"}
        )
        answer = connection.getresponse()
        return answer, answer.read(100)
    finally:
        connection.close()


def _reaches_nobody(name: str, app: str, where: Sorted, error: Exception) -> Finding:
    if where.router:
        what = f"http://{name}/ reaches nobody from here ({error}): {_HAIRPIN}"
        return warning(what, _from_elsewhere(name), app=app)
    fix = f"open port {_HTTP} in the firewall of this server, or forward it on the router before it"
    return problem(f"http://{name}/ reaches nobody: {error}", fix, app=app)


_HAIRPIN = "many a router lets no machine behind it ask by its own public address"


def _from_elsewhere(name: str) -> str:
    return (
        f"ask from another network: curl -I http://{name}/; if that fails too, have the router forward ports"
        " 80 and 443 to this server"
    )
