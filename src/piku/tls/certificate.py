"""Which certificate an app is served with: its owner's, an authority's, or a self-signed one.

Each is one file that nginx reads, with chain and key, replaced by one rename: a certificate never
meets another one's key. Its first line, which readers of PEM skip, says what is in it, so that
choosing runs no program. Files are named by what they certify: a failed deploy changes none in use.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
import ssl
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from piku import files, subprocesses
from piku.errors import PikuError
from piku.paths import SEPARATOR, AppPaths

_MARK = "# piku: "
_DAYS = 3650
_FACTS = ("-noout", "-subject_hash", "-issuer_hash", "-dates", "-ext", "subjectAltName",
          "-issuer", "-nameopt", "sep_multiline,utf8")  # fmt: skip
OWN, SELF_SIGNED = "own", "self-signed"


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A file with chain and key, and what the certificate says. Times are seconds of the epoch.

    `trusted` unless it is self-signed. `source` is "own", "self-signed", or the ACME client.
    """

    path: str = ""
    names: tuple[str, ...]
    issuer: str
    not_before: int
    not_after: int
    trusted: bool
    source: str

    def covers(self, name: str) -> bool:
        """Whether it is valid for a host name; `*.` in it matches exactly one label."""
        wildcard = f"*.{name.partition('.')[2]}"
        return name in self.names or (not name.startswith("*.") and wildcard in self.names)

    def missing(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if not self.covers(name)]

    def expired(self, now: float) -> bool:
        return self.not_after <= now

    def due(self, now: float) -> bool:
        """Whether less than a third of its lifetime is left."""
        return self.not_after - now < (self.not_after - self.not_before) / 3

    @property
    def last_day(self) -> str:
        return time.strftime("%Y-%m-%d", time.localtime(self.not_after))


# --- choosing ------------------------------------------------------------------------------------


def certificate(app: AppPaths, names: Sequence[str]) -> Certificate:
    """The certificate for these names now; a self-signed one is made if there is no other."""
    return best(app, names) or _self_signed(app, names)


def best(app: AppPaths, names: Sequence[str]) -> Certificate | None:
    """The best trusted or own certificate, if any is valid for one of the names."""
    return choose(stored(app), names, time.time())


def choose(known: Iterable[Certificate], names: Sequence[str], now: float) -> Certificate | None:
    """Of the valid ones: the one that covers most names; of these the owner's own, then the one
    that is valid for longest. So another name in the settings does not break the others."""
    usable = [
        one
        for one in known
        if not one.expired(now)
        and (one.trusted or one.source == OWN)
        and len(one.missing(names)) < len(names)
    ]

    def rank(one: Certificate) -> tuple[int, bool, int]:
        return -len(one.missing(names)), one.source == OWN, one.not_after

    return max(usable, key=rank, default=None)


def stored(app: AppPaths) -> Iterator[Certificate]:
    """Every certificate of the app on disk; a file that piku did not write is passed over."""
    for path in sorted(app.nginx.parent.glob(f"{app.name}{SEPARATOR}*.pem")):
        found = _read(path)
        if found is not None:
            yield found


def _read(path: Path) -> Certificate | None:
    try:
        first, _, rest = files.read(path).partition("\n")
        if not first.startswith(_MARK) or "-----BEGIN " not in rest:
            return None
        said = {**json.loads(first.removeprefix(_MARK)), "path": str(path)}
        known = {field.name: said[field.name] for field in fields(Certificate)}
        return Certificate(**{**known, "names": tuple(said["names"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def own_path(app: AppPaths) -> Path:
    """The certificate that the app's owner gave."""
    return _place(app, "own")


def acme_path(app: AppPaths, names: Sequence[str]) -> Path:
    """The certificate from an authority for these names."""
    return _place(app, f"acme-{_fingerprint(names)}")


def _place(app: AppPaths, what: str) -> Path:
    return app.nginx.with_name(f"{app.name}{SEPARATOR}{what}.pem")


def _fingerprint(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]


# --- checking and writing ------------------------------------------------------------------------


def inspect(text: str, source: str) -> Certificate:
    """What a certificate says, given with its chain after it and its key as PEM; raises PikuError
    unless openssl can read both, they belong together, and it has not expired."""
    facts = _openssl("certificate", text, "x509", *_FACTS)
    public = _openssl("certificate", text, "x509", "-noout", "-pubkey")
    if _openssl("key", text, "pkey", "-pubout", "-passin", "pass:") != public:
        raise PikuError(
            "the key does not belong to the certificate",
            hint="give the key it was made with, and the certificate before its chain",
        )
    dates = [
        int(ssl.cert_time_to_seconds(date)) for date in re.findall(r"(?m)^not\w+=(.+)$", facts)
    ]
    about, _, issuer = facts.partition("issuer=")
    parts = re.findall(r"(?m)^ +(?:CN|O)=(.+)$", issuer)
    names = re.findall(r"(?:DNS|IP Address):([^,\s]+)", about)
    found = Certificate(
        names=tuple(dict.fromkeys(_normal(name) for name in names)),
        issuer=", ".join(reversed(parts)) or issuer.strip(),
        not_before=dates[0],
        not_after=dates[1],
        trusted=len(set(facts.split()[:2])) == 2,
        source=source,
    )
    if found.expired(time.time()):
        raise PikuError(f"the certificate expired on {found.last_day}", hint="give a valid one")
    return found


def _openssl(what: str, text: str, *command: str) -> str:
    try:
        return subprocesses.run(["openssl", *command], stdin=text)
    except subprocesses.ProgramFailed:
        raise PikuError(
            f"the {what} cannot be read",
            hint="openssl must be able to read it: PEM, a key without a passphrase",
        ) from None


def _normal(name: str) -> str:
    return str(ipaddress.ip_address(name)) if is_address(name) else name.lower()


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def write(place: Path, found: Certificate, text: str) -> Certificate:
    """Put a certificate in place, in one step; nginx uses it after its next reload."""
    stored = replace(found, path=str(place))
    files.write(place, f"{_MARK}{json.dumps(asdict(stored))}\n{text}", mode=0o600, durable=True)
    return stored


def _self_signed(app: AppPaths, names: Sequence[str]) -> Certificate:
    """EC P-256, which even a Raspberry Pi makes at once."""
    place = _place(app, f"self-{_fingerprint(names)}")
    found = _read(place)
    if found and not found.expired(time.time()):
        return found
    kinds = ",".join(f"{'IP' if is_address(name) else 'DNS'}:{name}" for name in names)
    text = subprocesses.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", str(_DAYS), "-subj", "/CN=piku self-signed",
         "-addext", f"subjectAltName={kinds}", "-addext", "basicConstraints=CA:FALSE",
         "-keyout", "/dev/stdout"]
    )  # fmt: skip
    now = int(time.time())
    made = Certificate(
        names=tuple(names), issuer=SELF_SIGNED, not_before=now, not_after=now + _DAYS * 86400,
        trusted=False, source=SELF_SIGNED,
    )  # fmt: skip
    return write(place, made, text)
