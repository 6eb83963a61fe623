"""What certificates the live sites are to have from an authority, and how the attempts went."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from piku import files
from piku.app import settings, tree
from piku.deploy import releases, revision
from piku.errors import PikuError
from piku.extras.certs.settings import ACME_DNS
from piku.nginx.site import Site
from piku.paths import AppName, AppPaths, Paths
from piku.tls import acme, certificate
from piku.tls.certificate import Certificate

# Seconds until the next attempt. Let's Encrypt lets five fail for a name within an hour.
_PAUSES = (60, 300, 900, 3600, 6 * 3600, 24 * 3600)
# An own certificate is its owner's to renew; before it ends, another one is fetched.
_LAST_DAYS = 3 * 86400
_SETTINGS = (settings.ACME_ROOT_CA, settings.ACME_EMAIL, ACME_DNS, settings.ACME_OPTIONS)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """The certificate that a site wants. `values` are the settings of its live release."""

    names: tuple[str, ...]
    values: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """What differs when another attempt may fare better than the one before."""
        said = [*self.names, *(self.values.get(setting.name, "") for setting in _SETTINGS)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Attempts:
    """Failures since the last success: how many, why the last one, and when to try again (epoch)."""

    count: int = 0
    error: str = ""
    last: float = 0.0
    next: float = 0.0
    fingerprint: str = ""


def folder(paths: Paths) -> Path:
    """Where accounts with authorities are kept, and how attempts went; made if it is not there."""
    place = paths.root / "certificates"
    place.mkdir(mode=0o700, exist_ok=True)
    return place


def attempts(paths: Paths, app: AppPaths) -> Attempts:
    """How it went so far; a damaged note is no reason to stop trying."""
    with contextlib.suppress(PikuError, TypeError):
        return Attempts(**(files.read_json(_note(paths, app)) or {}))
    return Attempts()


def note_failure(paths: Paths, app: AppPaths, wish: Wish, error: str) -> Attempts:
    before = attempts(paths, app)
    count = before.count + 1 if before.fingerprint == wish.fingerprint else 1
    now = time.time()
    after = now + _PAUSES[min(count, len(_PAUSES)) - 1]
    note = Attempts(count=count, error=error, last=now, next=after, fingerprint=wish.fingerprint)
    files.write_json(_note(paths, app), asdict(note))
    return note


def forget_failures(paths: Paths, app: AppPaths) -> None:
    files.remove(_note(paths, app))


def _note(paths: Paths, app: AppPaths) -> Path:
    return folder(paths) / f"{app.name}.json"


# --- what is wanted ------------------------------------------------------------------------------


def certifiable(names: tuple[str, ...], values: Mapping[str, str]) -> tuple[str, ...]:
    """Those of the names that the authority can be asked for: a public one does not know names of one
    machine or network, and a wildcard is proved by DNS alone."""
    elsewhere = _elsewhere(values)
    by_dns = bool(ACME_DNS.read(values))
    asked = [
        name
        for name in names
        if (elsewhere and not certificate.is_address(name)) or acme.is_public(name)
    ]
    return tuple(name for name in asked if by_dns or not name.startswith("*."))


def wish(paths: Paths, app: AppPaths, site: Site) -> Wish | None:
    """What the site of a live app wants, if anything; raises PikuError for settings that are wrong."""
    own = _own(app, site)
    if (
        own is not None
        and not own.missing(site.certified)
        and own.not_after - time.time() > _LAST_DAYS
    ):
        return None
    if not any(acme.is_public(name) for name in site.certified) and not _authority_is_set(
        paths, app
    ):
        return None
    values = live_values(paths, app)
    names = certifiable(site.certified, values)
    return Wish(names=names, values=values) if names else None


def _own(app: AppPaths, site: Site) -> Certificate | None:
    return certificate.choose(
        (one for one in certificate.stored(app) if one.source == certificate.OWN),
        site.certified,
        time.time(),
    )


def _authority_is_set(paths: Paths, app: AppPaths) -> bool:
    # Asking git for the settings of every app takes a while, and this is so for hardly any.
    return any(
        settings.ACME_ROOT_CA.name in files.read(file) for file in (paths.server_env, app.live_env)
    )


def live_values(paths: Paths, app: AppPaths) -> dict[str, str]:
    """The settings of the live release, with the server's of today."""
    live = releases.live(app)
    if live is None:
        return revision.layered(paths, "", revision.own_settings(app))
    release = releases.load_release(app, live.release)
    return revision.layered(
        paths, tree.of_commit(app.repo, release.commit).read("ENV"), release.settings
    )


def is_due(app: AppPaths, wanted: Wish, now: float) -> bool:
    """Whether no certificate from an authority covers the names, or one that does is nearing its end."""
    found = certificate.choose(
        (one for one in certificate.stored(app) if one.source != certificate.OWN), wanted.names, now
    )
    return found is None or bool(found.missing(wanted.names)) or found.due(now)


def may_try(tried: Attempts, wanted: Wish, now: float) -> bool:
    """Whether enough time has passed since the last failure, or something has changed."""
    return now >= tried.next or tried.fingerprint != wanted.fingerprint


def due(paths: Paths, sites: Mapping[AppName, Site]) -> bool:
    """Whether any of these sites needs a certificate from an authority now."""
    return any(
        _needs_one(paths, paths.app(name), site, time.time()) for name, site in sites.items()
    )


def _needs_one(paths: Paths, app: AppPaths, site: Site, now: float) -> bool:
    found = certificate.best(app, site.certified, now)
    if (
        found
        and found.source != certificate.OWN
        and not (found.missing(site.certified) or found.due(now))
    ):
        return False
    try:
        wanted = wish(paths, app, site)
    except PikuError:
        return True  # what is wrong is told where the certificate would be fetched
    return (
        wanted is not None
        and is_due(app, wanted, now)
        and may_try(attempts(paths, app), wanted, now)
    )


def acme_root(paths: Paths, values: Mapping[str, str]) -> Path:
    """The folder of acme.sh."""
    return Path(settings.ACME_ROOT.read(values) or paths.home / ".acme.sh")


def warnings(paths: Paths, values: Mapping[str, str]) -> list[str]:
    """What is to be said in a push of names for which no certificate can be had."""
    names = (*settings.SERVER_NAME.read(values), *settings.REDIRECT_FROM.read(values))
    stars = [name for name in names if name.startswith("*.")]
    found = []
    if stars and not ACME_DNS.read(values) and _could_be_asked(stars, values):
        found.append(
            f"No authority certifies {', '.join(stars)} by HTTP alone: a wildcard needs ACME_DNS"
        )
    if certifiable(names, values) and not acme.client(acme_root(paths, values)):
        found.append("Browsers will warn of its certificate: to get others, apt-get install lego")
    return found


def _could_be_asked(names: Iterable[str], values: Mapping[str, str]) -> bool:
    return any(acme.is_public(name) for name in names) or _elsewhere(values)


def _elsewhere(values: Mapping[str, str]) -> bool:
    return settings.ACME_ROOT_CA.read(values) != settings.ACME_ROOT_CA.default
