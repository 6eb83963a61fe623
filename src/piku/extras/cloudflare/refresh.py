"""Fetching the networks from Cloudflare's API."""

import ipaddress
import json
import time
from collections.abc import Iterator

from piku import dotenv, files, subprocesses
from piku.app import checks, settings
from piku.app.settings import Setting
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.paths import Paths

_FRESH = 86400  # seconds
_CURL = ("curl", "-fsSL", "--max-time", "5", "--max-filesize", "1000000", "--")
# What all networks together may cover, of IPv4 and of IPv6, and how many there may be. Cloudflare's
# are some more than a /12 and a /29, in 22 networks. With all addresses, anybody could be anyone.
_COVERED = {4: 2 ** (32 - 10), 6: 2 ** (128 - 26)}
_NETWORKS = 100

# fmt: off
API = Setting(name="PIKU_CLOUDFLARE_API", repository=False, check=checks.http_url,
    default="https://api.cloudflare.com/client/v4/ips",
    doc="Where piku gets Cloudflare's networks: for all apps, so only in the server's ENV.")
# fmt: on
SETTINGS = (API,)


def check(deployment: Deployment) -> Iterator[str]:
    """A warning when an app admits only Cloudflare, and the list could not be fetched. The list is
    that of all apps: raises PikuError when one of them says where to fetch it."""
    values, everywhere = deployment.values, deployment.paths.server_env
    shared = dotenv.load(everywhere, {})
    if values.get(API.name) != shared.get(API.name):
        hint = f"set it in {everywhere}, then: piku config:unset {deployment.app.name} {API.name}"
        raise PikuError(f"{API.name} is for the whole server, not for one app", hint=hint)
    if settings.CLOUDFLARE_ACL.read(values):
        warning = refresh(deployment.paths, API.read(shared))
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
    if len(found) > _NETWORKS:
        raise ValueError(f"the answer has {len(found)} networks, too many to be Cloudflare's")
    for version, most in _COVERED.items():
        if sum(one.num_addresses for one in found if one.version == version) > most:
            raise ValueError(f"the IPv{version} networks in the answer are too wide together")
    return "".join(f"{network}\n" for network in found)
