"""Which client gets an app's certificate, and what a push says where none can."""

from collections.abc import Mapping

from piku.app import settings
from piku.deploy.deployment import Deployment
from piku.extras.certs import acme_sh, lego
from piku.extras.certs.acme import Client
from piku.nginx.site import host_names
from piku.paths import Paths
from piku.tls.certificate import is_public


def client(paths: Paths, values: Mapping[str, str]) -> Client | None:
    """The client for an app with these settings, if any is installed: acme.sh, unless lego proves
    names by DNS."""
    found = filter(None, (acme_sh.client(paths, values), lego.client(values)))
    return max(found, key=lambda each: each.wildcards, default=None)


def warnings(deployment: Deployment) -> list[str]:
    """What a push says about names for which no certificate can be had."""
    paths, values = deployment.paths, deployment.values
    named = (*settings.SERVER_NAME.read(values), *settings.REDIRECT_FROM.read(values))
    names = host_names(named)
    found = client(paths, values)
    if found is None and any(map(is_public, names)):
        return ["Browsers will warn of its certificate; for others: apt-get install lego"]
    stars = ", ".join(name for name in names if name.startswith("*."))
    if stars and found and not found.wildcards:
        return [f"No authority certifies {stars} by HTTP alone: a wildcard needs ACME_DNS"]
    return []
