"""Cloudflare's networks: from its API, or as last known; never everybody's.

What was fetched is kept with its date. Before that, the list that comes with piku is used.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import time
import urllib.request
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from piku import records
from piku.errors import PikuError
from piku.paths import Paths

_FRESH = 86400  # seconds
_TIMEOUT = 5
_LARGEST = 1_000_000  # bytes
# Wider networks are nobody's own: for IPv4 and for IPv6.
_WIDEST = {4: 8, 6: 19}


@dataclass(frozen=True, kw_only=True)
class Networks:
    """A list of networks, and when it was fetched (epoch)."""

    fetched: float
    networks: tuple[str, ...]


def networks(paths: Paths) -> tuple[str, ...]:
    """The networks as last known."""
    return _last_known(paths).networks


def refresh(paths: Paths, api: str) -> str:
    """Fetch the list unless that was done within a day; returns a warning when that fails."""
    fetched = _last_known(paths).fetched
    if 0 <= time.time() - fetched < _FRESH:
        return ""
    try:
        with urllib.request.urlopen(api, timeout=_TIMEOUT) as response:  # noqa: S310
            found = _parsed(response.read(_LARGEST))
    except (OSError, http.client.HTTPException, ValueError) as error:
        day = time.strftime("%Y-%m-%d", time.gmtime(fetched))
        return f"Cloudflare's networks could not be fetched ({error}): using those of {day}"
    records.save(paths.cloudflare, Networks(fetched=time.time(), networks=found))
    return ""


def _parsed(text: bytes) -> tuple[str, ...]:
    """The networks of an answer, in nginx's form; raises ValueError if they cannot be theirs."""
    try:
        result = json.loads(text)["result"]
        found = [ipaddress.ip_network(each) for each in result["ipv4_cidrs"] + result["ipv6_cidrs"]]
    except (KeyError, TypeError, RecursionError, json.JSONDecodeError):
        raise ValueError("its answer is not a list of networks") from None
    if {network.version for network in found} != {4, 6}:
        raise ValueError("the answer does not have networks of both IPv4 and IPv6")
    for network in found:
        if network.prefixlen < _WIDEST[network.version]:
            raise ValueError(f"{network} is too wide to be Cloudflare's")
    return tuple(map(str, found))


def _last_known(paths: Paths) -> Networks:
    """The last list, or the one that comes with piku; a damaged one is passed over."""
    shipped = Path(str(resources.files("piku"))) / "templates" / "cloudflare.json"
    for place in (paths.cloudflare, shipped):
        with contextlib.suppress(PikuError):
            if (found := records.load(place, Networks)) is not None:
                return found
    raise PikuError("the list of Cloudflare's networks that comes with piku is damaged")
