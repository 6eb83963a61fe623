"""Which certificates the live sites want from an authority, and how the attempts went."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from piku import files, records
from piku.app import settings, variables
from piku.errors import PikuError
from piku.nginx.site import Site
from piku.paths import AppName, AppPaths, Paths
from piku.tls import acme, certificate

# Seconds until the next attempt. Let's Encrypt lets five fail for a name within an hour.
_PAUSES = (60, 300, 900, 3600, 6 * 3600, 24 * 3600)
# An own certificate is its owner's to renew; before it expires, another one is fetched.
_LAST_DAYS = 3 * 86400


@dataclass(frozen=True, kw_only=True)
class Request:
    """The certificate that a site wants. `values` are the settings of its live release."""

    names: tuple[str, ...]
    values: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """What changes when another attempt may fare better than the last one."""
        said = {key: text for key, text in self.values.items() if key.startswith("ACME_")}
        return hashlib.sha256(json.dumps([self.names, said]).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """Failures since the last success: how many, why the last one, and when to retry (epoch)."""

    count: int = 0
    error: str = ""
    next: float = 0.0
    fingerprint: str = ""

    def may_retry(self, wanted: Request) -> bool:
        """Whether enough time has passed since the last failure, or something has changed."""
        return time.time() >= self.next or self.fingerprint != wanted.fingerprint


def folder(paths: Paths) -> Path:
    """Where clients keep accounts, and attempts are recorded; made if it is missing."""
    place = paths.root / "certificates"
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def attempts(paths: Paths, app: AppPaths) -> Attempts:
    """How it went so far; a damaged record is no reason to stop trying."""
    with contextlib.suppress(PikuError):
        return records.load(_record(paths, app), Attempts) or Attempts()
    return Attempts()


def note_failure(paths: Paths, app: AppPaths, wanted: Request, error: str) -> Attempts:
    before = attempts(paths, app)
    count = before.count + 1 if before.fingerprint == wanted.fingerprint else 1
    retry = time.time() + _PAUSES[min(count, len(_PAUSES)) - 1]
    now = Attempts(count=count, error=error, next=retry, fingerprint=wanted.fingerprint)
    records.save(_record(paths, app), now)
    return now


def forget_failures(paths: Paths, app: AppPaths) -> None:
    files.remove(_record(paths, app))


def _record(paths: Paths, app: AppPaths) -> Path:
    return folder(paths) / f"{app.name}.json"


# --- what is wanted ------------------------------------------------------------------------------


def live_values(paths: Paths, app: AppPaths) -> dict[str, str]:
    """The settings of the live release, and the server's; raises PikuError."""
    server = files.read(paths.server_env)
    return {
        **variables.parse_file(server, {}, source=str(paths.server_env)),
        **variables.parse_literal(files.read(app.live_env)),
    }


def acme_root(paths: Paths, values: Mapping[str, str]) -> Path:
    """The folder of acme.sh."""
    return Path(settings.ACME_ROOT.read(values) or paths.home / ".acme.sh")


def candidates(names: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The names that the authority may certify: a public one knows none of one network only."""
    private = settings.ACME_ROOT_CA.read(values) != settings.ACME_ROOT_CA.default
    return [
        name
        for name in names
        if acme.is_public(name) or (private and not certificate.is_address(name))
    ]


def certifiable(paths: Paths, names: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Of these names, those to ask for: a wildcard can be proven by DNS alone."""
    client = acme.client(acme_root(paths, values), values)
    by_dns = client is not None and client.by_dns(values)
    found = candidates(names, values)
    return tuple(name for name in found if by_dns or not name.startswith("*."))


def request(paths: Paths, app: AppPaths, site: Site) -> Request | None:
    """What a live app's site wants, if anything; raises PikuError for wrong settings."""
    own = (one for one in certificate.stored(app) if one.source == certificate.OWN)
    found = certificate.choose(own, site.certified, time.time() + _LAST_DAYS)
    if found is not None and not found.missing(site.certified):
        return None
    values = live_values(paths, app)
    names = certifiable(paths, site.certified, values)
    return Request(names=names, values=values) if names else None


def is_due(app: AppPaths, wanted: Request) -> bool:
    """Whether no certificate from an authority covers the names, or it is near its end."""
    others = (one for one in certificate.stored(app) if one.source != certificate.OWN)
    found = certificate.choose(others, wanted.names, time.time())
    return found is None or bool(found.missing(wanted.names)) or found.due(time.time())


def due(paths: Paths, sites: Mapping[AppName, Site]) -> bool:
    """Whether any of these sites needs a certificate from an authority now."""
    for name, site in sites.items():
        app = paths.app(name)
        try:
            wanted = request(paths, app, site)
        except PikuError:
            return True  # reported where the certificate would be fetched
        if wanted and is_due(app, wanted) and attempts(paths, app).may_retry(wanted):
            return True
    return False
