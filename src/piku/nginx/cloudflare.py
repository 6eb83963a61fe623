"""The networks of Cloudflare: from its API, or as they were last known; never everybody's.

What was fetched is kept with its date. Without it, and without an answer, the list that comes with
piku is used.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections.abc import Iterable
from importlib import resources

from piku import files, subprocesses
from piku.errors import PikuError
from piku.paths import Paths

_FRESH = 86400  # seconds for which nobody is asked again
_TIMEOUT = 5
# A list of networks this wide is no list of a company's own: for IPv4 and for IPv6.
_WIDEST = {4: 8, 6: 19}


def networks(paths: Paths) -> tuple[str, ...]:
    """The networks as last known."""
    return _last_known(paths)[1]


def refresh(paths: Paths, api: str) -> str:
    """Ask Cloudflare, unless that was done within a day; returns a warning when it does not answer."""
    fetched, _ = _last_known(paths)
    if 0 <= time.time() - fetched < _FRESH:
        return ""
    try:
        found = _fetched(api)
    except (PikuError, ValueError) as error:
        used = f"those of {time.strftime('%Y-%m-%d', time.gmtime(fetched))}"
        return f"Cloudflare did not say its networks ({_reason(error)}): using {used}"
    files.write(paths.cloudflare, json.dumps({"fetched": time.time(), "networks": found}) + "\n")
    return ""


def _fetched(api: str) -> tuple[str, ...]:
    options = ["--silent", "--show-error", "--fail", "--location", "--max-time", str(_TIMEOUT)]
    text = subprocesses.run(["curl", *options, "--max-filesize", "1000000", "--", api])
    try:
        answer = json.loads(text)
        found = [*answer["result"]["ipv4_cidrs"], *answer["result"]["ipv6_cidrs"]]
        if answer["success"] is not True or not all(isinstance(network, str) for network in found):
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ValueError("its answer is not a list of networks") from None
    return _checked(found)


def _reason(error: Exception) -> str:
    """Why there is no list; what curl said, when it said something."""
    said = error.output.splitlines()[-1:] if isinstance(error, subprocesses.ProgramFailed) else []
    return re.sub(r"^curl: (\(\d+\) )?", "", said[0]) if said else str(error)


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
    """When the networks were asked for, and what they were; a damaged list is none."""
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
