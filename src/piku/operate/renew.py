"""Fetching and renewing the certificates of the live sites (`piku certs:renew`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from piku import files, locks
from piku.app import settings
from piku.deploy import certificates, live_sites
from piku.deploy.certificates import Request
from piku.errors import PikuError
from piku.nginx import service
from piku.nginx.site import Site
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths
from piku.tls import acme, certificate
from piku.tls.acme import Order
from piku.tls.certificate import Certificate
from piku.uwsgi import housekeeping


@dataclass(frozen=True, kw_only=True)
class Round:
    """How certificates are renewed: unless a person asks, those that failed wait for their turn."""

    paths: Paths
    output: Output
    asked: bool = True
    force: bool = False


def renew(
    this: Round, only: AppPaths | None = None, *, waiting: Callable[[str], None] | None = None
) -> list[str]:
    """Fetch and renew what is due; returns the apps for which that failed.

    One such round runs at a time; without `waiting`, raises LockHeld when another one does.
    """
    paths, failed = this.paths, dict[AppName, bool]()
    with locks.lock(
        paths.uwsgi / "certificates.lock", "renewing certificates",
        waiting=waiting, patient=waiting is not None,
    ):  # fmt: skip
        while True:
            request = housekeeping.requested(paths)
            for name, site in live_sites.load(paths)[0].items():
                if only in (None, paths.app(name)):
                    failed[name] = not _renew(this, paths.app(name), site, only is not None)
            # An app that went live meanwhile asked while we held the lock: its turn is now.
            if housekeeping.requested(paths) == request:
                return [name for name in failed if failed[name]]
            this = replace(this, asked=False, force=False)


def _renew(this: Round, app: AppPaths, site: Site, named: bool) -> bool:
    """Renew one app's certificate if it is due; returns whether nothing went wrong."""
    wanted = Request(names=site.certified, values={})
    tried = certificates.attempts(this.paths, app)
    try:
        _take_existing(this, app, site)
        found = certificates.request(this.paths, app, site)
        if found is None:
            if named:
                this.output.detail(_why_none(app, site))
            return True
        wanted = found
        if not this.asked and not tried.may_retry(wanted):
            return True
        if this.force or certificates.is_due(app, wanted):
            _fetch(this, app, site, wanted)
        elif named:
            serving = certificate.certificate(app, wanted.names)
            this.output.detail(f"{app.name}: valid until {serving.last_day}")
        certificates.forget_failures(this.paths, app)
    except PikuError as error:
        if this.asked or tried.may_retry(wanted):
            _report(this, app, wanted, error)
        return False
    return True


def _report(this: Round, app: AppPaths, wanted: Request, error: PikuError) -> None:
    text = "\n".join(error.detail) or ": ".join(filter(None, (error.message, error.hint)))
    now = certificates.note_failure(this.paths, app, wanted, text)
    again = f"the next try is at {time.strftime('%H:%M', time.localtime(now.next))}"
    hint = "; ".join(filter(None, (error.hint, again)))
    this.output.error(PikuError(f"{app.name}: {error.message}", hint=hint, detail=error.detail))


def _why_none(app: AppPaths, site: Site) -> str:
    if certificate.certificate(app, site.certified).source == certificate.OWN:
        return f"{app.name} has a certificate of its own, until `piku certs:remove {app.name}`"
    names = ", ".join(site.certified)
    return f"{app.name} has a self-signed certificate: no public authority certifies {names}"


def _take_existing(this: Round, app: AppPaths, site: Site) -> None:
    """Take what acme.sh has, and renews by its own timer, if it is better than what we have."""
    root = certificates.acme_root(this.paths, certificates.live_values(this.paths, app))
    place = certificate.acme_path(app, site.certified)
    since = place.stat().st_mtime if place.exists() else 0
    for text in acme.existing(root, site.certified[0], since):
        try:
            found = certificate.inspect(text, acme.ACME_SH.name)
        except PikuError:
            continue  # expired, or being written
        now = certificate.best(app, site.certified)
        worse = now is None or now.missing(site.certified) or now.not_after < found.not_after
        if worse and not found.missing(site.certified):
            _take(this, place, found, text, app)


def _fetch(this: Round, app: AppPaths, site: Site, wanted: Request) -> None:
    """Get a certificate from the authority; raises PikuError."""
    order = _order(this.paths, wanted)
    client = acme.client(order.root, wanted.values)
    if client is None:
        raise PikuError(
            "no client for certificate authorities is installed",
            hint=f"install acme.sh in {order.root}, or apt-get install lego",
        )
    text = client.fetch(order)
    found = certificate.inspect(text, client.name)
    if missing := found.missing(wanted.names):
        raise PikuError(f"the certificate from {client.name} is not for {', '.join(missing)}")
    _take(this, certificate.acme_path(app, wanted.names), found, text, app)
    _clean(app, site)


def _order(paths: Paths, wanted: Request) -> Order:
    values = wanted.values
    return Order(
        names=wanted.names,
        webroot=paths.acme,
        root=certificates.acme_root(paths, values),
        state=certificates.folder(paths) / "lego",
        authority=settings.ACME_ROOT_CA.read(values),
        home=paths.home,
        email=settings.ACME_EMAIL.read(values),
        options=settings.ACME_OPTIONS.read(values),
        settings=values,
    )


def _take(this: Round, place: Path, found: Certificate, text: str, app: AppPaths) -> None:
    put(this.paths, place, found, text)
    this.output.step(f"{app.name}: certificate from {found.issuer}, valid until {found.last_day}")


def put(paths: Paths, place: Path, found: Certificate, text: str) -> None:
    """Put a certificate in place and have nginx use it."""
    # First, so that a reload that is cut off is made up for: nginx's own files may not change.
    service.want_reload(paths)
    certificate.write(place, found, text)
    live_sites.update(paths)


def _clean(app: AppPaths, site: Site) -> None:
    """Remove certificates that can be of no use any more."""
    now, serving = time.time(), certificate.certificate(app, site.certified).path
    for one in certificate.stored(app):
        # A deploy that has just made one may be about to need it.
        unused = one.source == certificate.SELF_SIGNED and now - one.not_before > 86400
        if one.path != serving and one.source != certificate.OWN and (one.expired(now) or unused):
            files.remove(Path(one.path))
