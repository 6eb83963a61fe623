"""Getting and renewing the certificates of the live sites (`piku certs:renew`)."""

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from piku import dotenv, errors, files, locks, records
from piku.app import settings
from piku.deploy import live_sites, releases, revision
from piku.errors import PikuError
from piku.extras.certs import acme_sh, clients
from piku.extras.certs.acme import Client
from piku.extras.certs.settings import ACME_ROOT_CA
from piku.nginx import service
from piku.nginx.site import Site
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths
from piku.tls import certificate
from piku.tls.certificate import ACME, OWN, Certificate
from piku.uwsgi import housekeeping

_DAY = 86400  # seconds
_LONG = 60.0  # seconds after which one housekeeping asks for no further certificate


@dataclass(frozen=True, kw_only=True)
class Failures:
    """Attempts for these names since the last success: how many, why the last one failed ("": it
    has not ended), and when to try again (epoch)."""

    names: tuple[str, ...] = ()
    count: int = 0
    error: str = ""
    retry: float = 0.0


def periodic(paths: Paths) -> None:
    """Get what is due, and report it in the log of the housekeeping."""
    renew(paths, Output(sys.stdout))


def renew(
    paths: Paths, output: Output, *, only: AppPaths | None = None, asked: bool = False,
    force: bool = False,
) -> list[AppName]:  # fmt: skip
    """Get what is due, or everything by `force`; returns the apps for which that failed.

    With `asked`, the pause after a failure is ignored, and another renewal is waited for; without,
    that raises LockHeld.
    """
    with locks.lock(
        paths.uwsgi / "certificates.lock", "renewing certificates",
        waiting=lambda holder: output.step(f"Waiting for {holder}"), patient=asked,
    ):  # fmt: skip
        while True:
            request, begun = housekeeping.requested(paths), time.monotonic()
            failed = []
            for name, site in live_sites.load(paths)[0].items():
                if not asked and time.monotonic() - begun > _LONG:
                    break  # an authority takes its time: whatever else is due comes first
                if (only is None or only.name == name) and not _renew(
                    paths, output, paths.app(name), site, asked, force
                ):
                    failed.append(name)
            # An app that went live meanwhile asked while we held the lock: its turn is now.
            if asked or housekeeping.requested(paths) == request:
                return failed


def _renew(
    paths: Paths, output: Output, app: AppPaths, site: Site, asked: bool, force: bool
) -> bool:
    """Renew one app's certificate if it is due; returns whether that went well."""
    last = failures(app)
    # A pause of more than a day was noted before the clock was set back.
    within = 0 < last.retry - time.time() <= _DAY
    paused = not asked and last.names == site.all_names and within
    try:
        values = dotenv.parse(files.read(app.live_env), "LIVE_ENV")
        output.hide(values)
        ours = certificate.place(app, ACME)
        since = ours.stat().st_mtime if ours.exists() else 0
        got = acme_sh.existing(acme_sh.home(paths, values), site.all_names, since)
        client = clients.client(paths, values)
        names = certifiable(client, site.all_names, values) if client else ()
        if client and names and not got and _is_due(app, names, force):
            if paused:
                return False
            # First: where it cannot be noted, an authority would be asked again and again.
            _note(app, site, last, "")
            got = client.fetch(paths, names, given(paths, app, values))
        if got:
            found, text = got
            put(paths, app, ACME, found, text)
            output.step(f"{app.name}: certificate from {found.issuer}, until {found.last_day}")
        elif asked and client is None and any(map(certificate.is_public, site.all_names)):
            hint = "install one: sudo apt-get install lego"
            raise PikuError("no program on this server gets certificates", hint=hint)
        elif asked:
            now = certificate.certificate(app, site.all_names)
            output.detail(f"{app.name}: {now.source} certificate, valid until {now.last_day}")
        files.remove(_record(app))
    except (PikuError, OSError) as error:
        if not paused:
            _report(output, app, site, last, errors.of(error))
        return False
    return True


def given(paths: Paths, app: AppPaths, values: Mapping[str, str]) -> dict[str, str]:
    """The variables of a client, which runs outside all walls: what config:set and the server's ENV
    say. Of a repository's ENV only piku's own settings, for others would say to lego which files to
    read and whom to send them."""
    # Not what is kept for the next release: a config:set that goes live has yet to write that.
    made = releases.load_release(app, releases.require_live(app).release)
    own = revision.layered(paths, made.settings)
    return {name: values[name] for name in settings.table() if name in values} | own


def certifiable(client: Client, names: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """The names to ask the authority for: a public one certifies no name of a private network, and
    a wildcard is proven by DNS alone."""
    private = ACME_ROOT_CA.read(values) != ACME_ROOT_CA.default
    return tuple(
        name
        for name in names
        if (certificate.is_public(name) or (private and not certificate.is_address(name)))
        and (client.wildcards or not name.startswith("*."))
    )


def _is_due(app: AppPaths, names: tuple[str, ...], force: bool) -> bool:
    """Whether to ask the authority; an own certificate is its owner's to renew."""
    now = time.time()
    found = certificate.choose(certificate.stored(app), names, now)
    if found is None or found.missing(names):
        return True
    return found.source != OWN and (force or is_late(found, now))


def is_late(found: Certificate, now: float) -> bool:
    """Whether less than a third of its lifetime is left."""
    return found.not_after - now < (found.not_after - found.not_before) / 3


def put(paths: Paths, app: AppPaths, kind: str, found: Certificate, text: str) -> None:
    """Put a certificate in place and have nginx use it."""
    # First, so that a reload that is cut off is made up for: nginx's own files may not change.
    service.want_reload(paths)
    certificate.write(app, kind, found, text)
    live_sites.update(paths)


def failures(app: AppPaths) -> Failures:
    """How it went so far; a damaged record is no reason to stop trying."""
    with contextlib.suppress(PikuError):
        return records.load(_record(app), Failures) or Failures()
    return Failures()


def _note(app: AppPaths, site: Site, last: Failures, text: str) -> Failures:
    """Record an attempt that begins, or failed. The pause until the next one grows to a day: Let's
    Encrypt lets five fail for a name within an hour."""
    count = last.count + 1 if last.names == site.all_names else 1
    retry = time.time() + min(60 * 5 ** (count - 1), _DAY)
    now = Failures(names=site.all_names, count=count, error=text, retry=retry)
    records.save(_record(app), now)
    return now


def _report(output: Output, app: AppPaths, site: Site, last: Failures, error: PikuError) -> None:
    """Record and print a failure."""
    hints = [error.hint] if error.hint else []
    with contextlib.suppress(OSError):  # the disk is full
        now = _note(app, site, last, "\n".join(error.detail) or error.message)
        hints.append(f"the next attempt is at {time.strftime('%H:%M', time.localtime(now.retry))}")
    said = PikuError(f"{app.name}: {error.message}", hint="; ".join(hints), detail=error.detail)
    output.error(said)


def _record(app: AppPaths) -> Path:
    return certificate.place(app, ACME).with_suffix(".json")
