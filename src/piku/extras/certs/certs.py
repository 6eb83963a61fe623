"""The names of an app, and what can be had for them."""

from __future__ import annotations

from collections.abc import Mapping

from piku.app import settings
from piku.deploy import certificates
from piku.deploy.deployment import Deployment
from piku.tls import acme


def names(values: Mapping[str, str]) -> tuple[str, ...]:
    """Every name that an app with these settings has."""
    return (*settings.SERVER_NAME.read(values), *settings.REDIRECT_FROM.read(values))


def warnings(deployment: Deployment) -> list[str]:
    """What a push says about names for which no certificate can be had."""
    paths, values = deployment.paths, deployment.values
    asked = certificates.certifiable(paths, names(values), values)
    possible = certificates.candidates(names(values), values)
    found = []
    if stars := ", ".join(name for name in possible if name not in asked):
        found.append(f"No authority certifies {stars} by HTTP alone: a wildcard needs ACME_DNS")
    if asked and acme.client(certificates.acme_root(paths, values), values) is None:
        found.append("Browsers will warn of its certificate; for others: apt-get install lego")
    return found
