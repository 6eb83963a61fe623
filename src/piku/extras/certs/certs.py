"""The certificates of the live sites: those that their owners gave, and how all of them stand."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from piku import files
from piku.app import settings
from piku.deploy import certificates, live_sites
from piku.deploy.certificates import Attempts
from piku.errors import PikuError
from piku.nginx import service
from piku.paths import AppName, AppPaths, Paths
from piku.tls import certificate as certificate_module
from piku.tls import pem
from piku.tls.certificate import Certificate
from piku.tls.pem import Bundle


def add(paths: Paths, app: AppPaths, certificate: str, key: str) -> tuple[Certificate, list[str]]:
    """Serve an app with a certificate of its owner's; returns it, and what is to be said about it.

    Raises PikuError when certificate and key do not match, or it is not valid for the app's names.
    """
    bundle = pem.bundle(certificate, key)
    found = certificate_module.Certificate.of("", bundle, certificate_module.OWN)
    names = _names(paths, app)
    if missing := found.missing(names):
        raise PikuError(
            f"the certificate is not for {', '.join(missing)}, which {app.name} has as a name",
            hint=f"it is for {', '.join(found.names) or 'no name at all'}",
        )
    notes = (
        [] if names else [f"{app.name} has no host name yet: the certificate is kept until it has"]
    )
    if not bundle.complete:
        notes.append(
            "whoever issued it is not in the file: browsers may not trust it without the chain"
        )
    if bundle.facts.self_signed:
        notes.append("it is self-signed: browsers will warn")
    return put(paths, certificate_module.own_path(app), bundle, certificate_module.OWN), notes


def remove(paths: Paths, app: AppPaths) -> Certificate:
    """Go back to certificates that piku gets by itself; returns what the app is served with now."""
    place = certificate_module.own_path(app)
    if not place.exists():
        raise PikuError(
            f"{app.name} has no certificate of its own", hint=f"see: piku certs {app.name}"
        )
    service.want_reload(paths)
    files.remove(place)
    live_sites.update(paths)
    return certificate_module.certificate(app, _names(paths, app) or (app.name,))


def _names(paths: Paths, app: AppPaths) -> tuple[str, ...]:
    site = live_sites.load(paths)[0].get(app.name)
    if site is not None:
        return site.certified
    values = certificates.live_values(paths, app)
    return (*settings.SERVER_NAME.read(values), *settings.REDIRECT_FROM.read(values))


def put(paths: Paths, place: Path, bundle: Bundle, source: str) -> Certificate:
    """Put a certificate in place and have nginx take it up."""
    # First, so that a reload which is cut off is made up for: nginx's own files may not change at all.
    service.want_reload(paths)
    found = certificate_module.store(place, bundle, source)
    live_sites.update(paths)
    return found


# --- how they stand ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Status:
    """One app: its names, what it is served with, which of them that is not for, and past failures."""

    app: AppName
    names: tuple[str, ...]
    serving: Certificate
    tried: Attempts

    @property
    def missing(self) -> list[str]:
        return self.serving.missing(self.names)


def status(paths: Paths, only: AppPaths | None = None) -> Iterable[Status]:
    """How the certificates of the live sites stand."""
    for name, site in live_sites.load(paths)[0].items():
        app = paths.app(name)
        if only in (None, app):
            yield Status(
                app=name, names=site.certified, serving=certificate_module.certificate(app, site.certified),
                tried=certificates.attempts(paths, app),
            )  # fmt: skip


def day(when: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(when))
