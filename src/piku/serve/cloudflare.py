"""The networks of Cloudflare: from its API, or as they were last known; never everybody's.

What was fetched is kept with its date. Without it, and without an answer, the list that comes with
piku is used.
"""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Iterable
from importlib import resources

from piku import effects, programs
from piku.errors import PikuError
from piku.paths import Paths

_FRESH = 86400  # seconds for which nobody is asked again
_TIMEOUT = 5
# A list of networks this wide is no list of a company's own: for IPv4 and for IPv6.
_WIDEST = {4: 8, 6: 19}


def networks(paths: Paths) -> tuple[str, ...]:
    """The networks as last known."""
    for text in (effects.read(paths.cloudflare), _shipped()):
        try:
            return _checked(json.loads(text)["networks"])
        except (ValueError, KeyError, TypeError):
            continue
    raise PikuError("the list of Cloudflare's networks that comes with piku is damaged")


def refresh(paths: Paths, api: str) -> str:
    """Ask Cloudflare, unless that was done within a day; returns a warning when it does not answer."""
    known = effects.read(paths.cloudflare)
    if _age(known) < _FRESH:
        return ""
    try:
        found = _fetched(api)
    except (PikuError, ValueError, KeyError, TypeError) as error:
        used = f"those of {_date(known or _shipped())}"
        return f"Cloudflare did not say its networks ({error}): using {used}"
    effects.write(paths.cloudflare, json.dumps({"fetched": time.time(), "networks": found}) + "\n")
    return ""


def _fetched(api: str) -> tuple[str, ...]:
    options = ["--silent", "--show-error", "--fail", "--location", "--max-time", str(_TIMEOUT)]
    answer = json.loads(programs.run(["curl", *options, "--max-filesize", "1000000", "--", api]))
    if answer["success"] is not True:
        raise ValueError("the answer is not a success")
    result = answer["result"]
    return _checked([*result["ipv4_cidrs"], *result["ipv6_cidrs"]])


def _checked(found: Iterable[str]) -> tuple[str, ...]:
    """The networks in nginx's form; raises ValueError for what cannot be Cloudflare's."""
    checked = [ipaddress.ip_network(text) for text in found]
    if {network.version for network in checked} != {4, 6}:
        raise ValueError("the answer does not have networks of both IPv4 and IPv6")
    for network in checked:
        if network.prefixlen < _WIDEST[network.version]:
            raise ValueError(f"{network} is too wide to be Cloudflare's")
    return tuple(str(network) for network in checked)


def _age(text: str) -> float:
    try:
        return time.time() - float(json.loads(text)["fetched"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def _date(text: str) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - _age(text)))


def _shipped() -> str:
    return (resources.files("piku") / "templates" / "cloudflare.json").read_text()
