"""Fetching and renewing the certificates of the live sites (`piku certs:renew`)."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from piku import files, locks
from piku.app import settings
from piku.deploy import certificates, live_sites
from piku.deploy.certificates import Wish
from piku.errors import PikuError
from piku.extras.certs import certs
from piku.extras.certs.settings import ACME_DNS
from piku.nginx.site import Site
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths
from piku.tls import acme, certificate, pem
from piku.tls.certificate import Certificate
from piku.tls.pem import Bundle
from piku.uwsgi import housekeeping

Waiting = Callable[[str], None]
# Looks within one round; what is then still asked for waits for the next one.
_MOST = 5


@dataclass(frozen=True, kw_only=True)
class Round:
    """How certificates are renewed: `command` is what calls this piku; unless a person asks, those
    that failed a while ago wait for their turn."""

    paths: Paths
    command: Sequence[str]
    output: Output
    asked: bool = True
    force: bool = False


def renew(
    this: Round, only: AppPaths | None = None, *, waiting: Waiting | None = None
) -> list[str]:
    """Fetch and renew what is due; returns the apps for which that failed.

    One such round at a time; when nobody is told of the `waiting`, raises effects.Busy instead.
    """
    paths, failed = this.paths, dict[AppName, bool]()
    with (
        _ends_at_once(),
        locks.lock(
            paths.uwsgi / "certificates.lock", "renewing certificates",
            waiting=waiting, patient=waiting is not None,
        ),
    ):  # fmt: skip
        for _ in range(_MOST):
            request = housekeeping.requested(paths)
            for name, site in live_sites.load(paths)[0].items():
                if only in (None, paths.app(name)):
                    failed[name] = not _renew(this, paths.app(name), site, only is not None)
            # An app that went live or changed meanwhile has its turn now: whoever it asked found us busy.
            if housekeeping.requested(paths) == request:
                break
            this = replace(this, asked=False, force=False)
    return [name for name in failed if failed[name]]


@contextmanager
def _ends_at_once() -> Iterator[None]:
    """When the platform stops, so does what was started here."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(_number: int, _frame: object) -> NoReturn:
    sys.exit(143)


def _renew(this: Round, app: AppPaths, site: Site, named: bool) -> bool:
    """Renew one app's certificate if it is due; returns whether nothing went wrong."""
    wish = Wish(names=site.certified, values={})
    tried, now = certificates.attempts(this.paths, app), time.time()
    try:
        wanted = certificates.wish(this.paths, app, site)
        if wanted is None:
            if named:
                this.output.detail(_why_none(app, site))
            return True
        wish = wanted
        if not this.asked and not certificates.may_try(tried, wish, now):
            return True
        if this.force or certificates.is_due(app, wish, now):
            _fetch(this, app, site, wish)
        elif named:
            found = certificate.certificate(app, wish.names)
            this.output.detail(
                f"{app.name}: the certificate is valid until {certs.day(found.not_after)}"
            )
        certificates.forget_failures(this.paths, app)
    except PikuError as error:
        # Settings that are wrong are found before anything is tried.
        if this.asked or certificates.may_try(tried, wish, now):
            _tell(this, app, wish, error)
        return False
    return True


def _tell(this: Round, app: AppPaths, wish: Wish, error: PikuError) -> None:
    said = "\n".join(error.detail) or ": ".join(filter(None, (error.message, error.hint)))
    note = certificates.note_failure(this.paths, app, wish, said)
    again = f"the next try is at {time.strftime('%H:%M', time.localtime(note.next))}"
    hint = "; ".join(filter(None, (error.hint, again)))
    this.output.error(PikuError(f"{app.name}: {error.message}", hint=hint, detail=error.detail))


def _why_none(app: AppPaths, site: Site) -> str:
    if certificate.certificate(app, site.certified).source == certificate.OWN:
        return f"{app.name} has a certificate of its own: piku certs:remove {app.name} goes back to others"
    names = ", ".join(site.certified)
    return f"{app.name} is served with a self-signed certificate: no public authority certifies {names}"


def _fetch(this: Round, app: AppPaths, site: Site, wish: Wish) -> None:
    """Take what acme.sh has already, and ask the authority if that does not do; raises PikuError."""
    order = _order(this, app, wish)
    if not this.force:
        for bundle in filter(
            None, [*acme.existing(order.root, wish.names), acme.read(order.chain, order.key)]
        ):
            if _is_better(app, wish, bundle):
                _take(this, app, wish.names, bundle, acme.ACME_SH)
        if not certificates.is_due(app, wish, time.time()):
            return
    client = acme.client(order.root)
    bundle = acme.get(order, force=this.force)
    if client == acme.ACME_SH and _offer(bundle).due(time.time()):
        bundle = acme.get(order, force=True)
    _take(this, app, wish.names, bundle, client)
    _clean(app, site)


def _offer(bundle: Bundle) -> Certificate:
    return Certificate.of("", bundle, acme.ACME_SH)


def _is_better(app: AppPaths, wish: Wish, bundle: Bundle) -> bool:
    """Whether it is for all the names, and for longer than what there is."""
    found = certificate.best(app, wish.names)
    short = (
        found is None or bool(found.missing(wish.names)) or found.not_after < bundle.facts.not_after
    )
    return short and not _offer(bundle).missing(wish.names)


def _order(this: Round, app: AppPaths, wish: Wish) -> acme.Order:
    values = wish.values
    return acme.Order(
        names=wish.names,
        webroot=this.paths.acme,
        root=certificates.acme_root(this.paths, values),
        state=certificates.folder(this.paths) / "lego",
        authority=settings.ACME_ROOT_CA.read(values),
        home=this.paths.home,
        email=settings.ACME_EMAIL.read(values),
        dns=ACME_DNS.read(values),
        options=settings.ACME_OPTIONS.read(values),
        settings=values,
        key=app.nginx.with_name(f"{app.name}.key"),
        chain=app.nginx.with_name(f"{app.name}.crt"),
        reload=[*this.command, "certs:renew", "--installed", app.name],
    )


def installed(this: Round, app: AppPaths) -> None:
    """Take what acme.sh has put beside the app's nginx file; its own renewals end here."""
    chain, key = app.nginx.with_name(f"{app.name}.crt"), app.nginx.with_name(f"{app.name}.key")
    if not (chain.exists() and key.exists()):
        raise PikuError(f"acme.sh has installed no certificate for {app.name}: {chain}")
    bundle = pem.bundle(files.read(chain), files.read(key))
    site = live_sites.load(this.paths)[0].get(app.name)
    wish = certificates.wish(this.paths, app, site) if site else None
    names = wish.names if wish and not _offer(bundle).missing(wish.names) else bundle.facts.names
    _take(this, app, names, bundle, acme.ACME_SH)


def _take(this: Round, app: AppPaths, names: Sequence[str], bundle: Bundle, source: str) -> None:
    """Put a certificate in place and have nginx take it up."""
    if not names or _offer(bundle).missing(names):
        raise PikuError(
            f"{source} brought a certificate for {', '.join(bundle.facts.names) or 'no name'}"
        )
    place = certificate.acme_path(app, names)
    if files.read(place).endswith(f"\n{bundle.text}"):
        return
    certs.put(this.paths, place, bundle, source)
    facts = bundle.facts
    this.output.step(
        f"{app.name}: certificate from {facts.issued_by}, valid until {certs.day(facts.not_after)}"
    )


def _clean(app: AppPaths, site: Site) -> None:
    """Remove certificates that can be of no use any more."""
    now, serving = time.time(), certificate.certificate(app, site.certified).path
    for one in certificate.stored(app):
        # A deploy that has just made one may be about to need it.
        idle = one.source == certificate.SELF_SIGNED and now - one.not_before > 86400
        if one.path != serving and one.source != certificate.OWN and (one.expired(now) or idle):
            files.remove(Path(one.path))
