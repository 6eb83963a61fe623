"""Fetching the networks from Cloudflare's API."""

from __future__ import annotations

import ipaddress
import json
import time
from collections.abc import Iterator

from piku import files, subprocesses
from piku.app import checks, settings
from piku.app.settings import Setting
from piku.deploy.deployment import Deployment
from piku.paths import Paths

_FRESH = 86400  # seconds
_CURL = ("curl", "-fsSL", "--max-time", "5", "--max-filesize", "1000000", "--")
# Wider networks are nobody's own: for IPv4 and for IPv6.
_WIDEST = {4: 8, 6: 19}

# fmt: off
API = Setting(name="PIKU_CLOUDFLARE_API", repository=False, check=checks.http_url,
    default="https://api.cloudflare.com/client/v4/ips",
    doc="Where piku gets the addresses of Cloudflare.")
# fmt: on
SETTINGS = (API,)


def check(deployment: Deployment) -> Iterator[str]:
    """A warning when an app admits only Cloudflare, and the list could not be fetched."""
    if settings.CLOUDFLARE_ACL.read(deployment.values):
        warning = refresh(deployment.paths, API.read(deployment.values))
        yield from [warning] if warning else []


def refresh(paths: Paths, api: str) -> str:
    """Fetch the list unless that was done within a day; returns a warning when that fails."""
    place, instead = paths.cloudflare, "those that come with piku"
    if place.exists():
        fetched = place.stat().st_mtime
        if 0 <= time.time() - fetched < _FRESH:
            return ""
        instead = f"those of {time.strftime('%Y-%m-%d', time.gmtime(fetched))}"
    try:
        files.write(place, _checked(subprocesses.run([*_CURL, api])))
        return ""
    except subprocesses.ProgramFailed as error:
        why = error.output.strip()
    except ValueError as error:
        why = str(error)
    return f"Cloudflare's networks could not be fetched ({why}): using {instead}"


def _checked(answer: str) -> str:
    """The networks in an answer, one a line; raises ValueError if they cannot be Cloudflare's."""
    try:
        result = json.loads(answer)["result"]
        found = [ipaddress.ip_network(each) for each in result["ipv4_cidrs"] + result["ipv6_cidrs"]]
    except (LookupError, TypeError, RecursionError, json.JSONDecodeError):
        raise ValueError("its answer is not a list of networks") from None
    if {network.version for network in found} != {4, 6}:
        raise ValueError("the answer does not have networks of both IPv4 and IPv6")
    if any(network.prefixlen < _WIDEST[network.version] for network in found):
        raise ValueError("a network in the answer is too wide to be Cloudflare's")
    return "".join(f"{network}\n" for network in found)
