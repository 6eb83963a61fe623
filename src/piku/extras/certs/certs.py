"""An app's own certificate, and the state of all certificates."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from piku import files
from piku.app import settings
from piku.deploy import certificates, live_sites
from piku.deploy.certificates import Attempts
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.nginx import service
from piku.operate import renew
from piku.paths import AppName, AppPaths, Paths
from piku.tls import acme, certificate
from piku.tls.certificate import Certificate


def add(paths: Paths, app: AppPaths, text: str) -> tuple[Certificate, list[str]]:
    """Serve an app with this certificate: chain and key as PEM. Returns it, and warnings.

    Raises PikuError when it is not valid, or not for all names of the app.
    """
    found = certificate.inspect(text, certificate.OWN)
    names = _names(paths, app)
    if missing := found.missing(names):
        raise PikuError(
            f"the certificate is not for {', '.join(missing)}, a name of {app.name}",
            hint=f"it is for {', '.join(found.names) or 'no name at all'}",
        )
    warnings = []
    if not names:
        warnings.append(f"{app.name} has no host name yet: it is kept until then")
    if not found.trusted:
        warnings.append("it is self-signed: browsers will warn")
    elif text.count("-----BEGIN CERTIFICATE-----") == 1:
        warnings.append("its chain is missing: browsers may not trust it")
    renew.put(paths, certificate.own_path(app), found, text)
    return found, warnings


def remove(paths: Paths, app: AppPaths) -> Certificate:
    """Go back to certificates that piku gets; returns the one that the app is now served with."""
    place = certificate.own_path(app)
    if not place.exists():
        raise PikuError(
            f"{app.name} has no certificate of its own", hint=f"see: piku certs {app.name}"
        )
    service.want_reload(paths)
    files.remove(place)
    live_sites.update(paths)
    return certificate.certificate(app, _names(paths, app) or (app.name,))


def _names(paths: Paths, app: AppPaths) -> tuple[str, ...]:
    site = live_sites.load(paths)[0].get(app.name)
    if site is not None:
        return site.certified
    values = certificates.live_values(paths, app)
    return (*settings.SERVER_NAME.read(values), *settings.REDIRECT_FROM.read(values))


def warnings(deployment: Deployment) -> list[str]:
    """What a push says about names for which no certificate can be had."""
    paths, values = deployment.paths, deployment.values
    names = (*settings.SERVER_NAME.read(values), *settings.REDIRECT_FROM.read(values))
    asked = certificates.certifiable(paths, names, values)
    stars = [name for name in certificates.candidates(names, values) if name not in asked]
    found = []
    if stars:
        found.append(
            f"No authority certifies {', '.join(stars)} by HTTP: a wildcard needs ACME_DNS"
        )
    if asked and acme.client(certificates.acme_root(paths, values), values) is None:
        found.append("Browsers will warn of its certificate; for others: apt-get install lego")
    return found


@dataclass(frozen=True, kw_only=True)
class Status:
    """An app's names, the certificate that it is served with, and failed attempts for another."""

    app: AppName
    names: tuple[str, ...]
    serving: Certificate
    tried: Attempts

    @property
    def missing(self) -> list[str]:
        return self.serving.missing(self.names)


def status(paths: Paths, only: AppPaths | None = None) -> Iterable[Status]:
    """The state of the live sites' certificates."""
    for name, site in live_sites.load(paths)[0].items():
        app = paths.app(name)
        if only in (None, app):
            serving = certificate.certificate(app, site.certified)
            tried = certificates.attempts(paths, app)
            yield Status(app=name, names=site.certified, serving=serving, tried=tried)
