"""Cloudflare's networks: from its API, or as last known; never everybody's.

What was fetched is kept with its date. Before that, the list that comes with piku is used.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import time
import urllib.request
from collections.abc import Iterable
from importlib import resources

from piku import files
from piku.errors import PikuError
from piku.paths import Paths

_FRESH = 86400  # seconds
_TIMEOUT = 5
_LARGEST = 1_000_000  # bytes
# Wider networks are nobody's own: for IPv4 and for IPv6.
_WIDEST = {4: 8, 6: 19}


def networks(paths: Paths) -> tuple[str, ...]:
    """The networks as last known."""
    return _last_known(paths)[1]


def refresh(paths: Paths, api: str) -> str:
    """Fetch the list unless that was done within a day; returns a warning when that fails."""
    fetched, _ = _last_known(paths)
    if 0 <= time.time() - fetched < _FRESH:
        return ""
    try:
        with urllib.request.urlopen(api, timeout=_TIMEOUT) as response:  # noqa: S310
            found = _parsed(response.read(_LARGEST))
    except (OSError, http.client.HTTPException, ValueError) as error:
        day = time.strftime("%Y-%m-%d", time.gmtime(fetched))
        return f"Cloudflare's networks could not be fetched ({error}): using those of {day}"
    files.write(paths.cloudflare, json.dumps({"fetched": time.time(), "networks": found}) + "\n")
    return ""


def _parsed(text: bytes) -> tuple[str, ...]:
    """The networks of an answer; raises ValueError."""
    try:
        answer = json.loads(text)
        found = [*answer["result"]["ipv4_cidrs"], *answer["result"]["ipv6_cidrs"]]
        if answer["success"] is not True or not all(isinstance(network, str) for network in found):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("its answer is not a list of networks") from None
    return _checked(found)


def _checked(found: Iterable[str]) -> tuple[str, ...]:
    """The networks in nginx's form; raises ValueError for what cannot be Cloudflare's."""
    checked = [ipaddress.ip_network(text) for text in found]
    if {network.version for network in checked} != {4, 6}:
        raise ValueError("the answer does not have networks of both IPv4 and IPv6")
    for network in checked:
        if network.prefixlen < _WIDEST[network.version]:
            raise ValueError(f"{network} is too wide to be Cloudflare's")
    return tuple(str(network) for network in checked)


def _last_known(paths: Paths) -> tuple[float, tuple[str, ...]]:
    """When the networks were fetched, and what they were; a damaged list is passed over."""
    shipped = (resources.files("piku") / "templates" / "cloudflare.json").read_text()
    for text in (files.read(paths.cloudflare), shipped):
        try:
            stored = json.loads(text)
            fetched = float(stored["fetched"])
            time.gmtime(fetched)
            return fetched, _checked(stored["networks"])
        except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
            continue
    raise PikuError("the list of Cloudflare's networks that comes with piku is damaged")
