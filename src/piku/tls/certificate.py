"""Which certificate an app is served with: its owner's, an authority's, or a self-signed one.

Each is one file that nginx reads, with chain and key, replaced by one rename: a certificate never
meets another one's key. Its first line, which readers of PEM skip, says what is in it, so that
choosing runs no program.
"""

import ipaddress
import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from piku import files, subprocesses
from piku.errors import PikuError
from piku.paths import SEPARATOR, AppPaths

OWN, ACME, SELF_SIGNED = "own", "acme", "self-signed"  # APP@own.pem is what its owner gave
_MARK = "# piku: "
# Names of one machine or network, which no public authority certifies.
_LOCAL = (
    "localhost", "local", "test", "example", "invalid", "internal", "lan", "localdomain",
    "home.arpa", "home", "corp", "intranet", "private", "onion",
    "example.com", "example.net", "example.org",
)  # fmt: skip
_FACTS = ("-noout", "-subject_hash", "-issuer_hash", "-dates", "-pubkey", "-ext", "subjectAltName",
          "-issuer", "-nameopt", "sep_multiline,utf8")  # fmt: skip


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

    def missing(self, names: Iterable[str]) -> list[str]:
        """The host names that it is not valid for; `*.` in it matches exactly one label."""
        wildcard = {name: f"*.{name.partition('.')[2]}" for name in names}
        return [name for name in wildcard if not {name, wildcard[name]} & set(self.names)]

    def ends_soon(self, now: float) -> bool:
        """Whether it should be replaced by now; what piku renews by itself is, long before."""
        return self.not_after - now < min(14 * 86400, (self.not_after - self.not_before) / 5)

    @property
    def last_day(self) -> str:
        return time.strftime("%Y-%m-%d", time.localtime(self.not_after))


def certificate(app: AppPaths, names: Sequence[str]) -> Certificate:
    """The certificate for these names now; a self-signed one is made if there is no other."""
    return choose(stored(app), names, time.time()) or _self_signed(app, names)


def choose(known: Iterable[Certificate], names: Sequence[str], now: float) -> Certificate | None:
    """The best valid trusted or own certificate: the one that covers most names, so that a new name
    in the settings does not break the others; of these the owner's, then the longest valid."""
    usable = [
        each
        for each in known
        if each.not_after > now
        and (each.trusted or each.source == OWN)
        and len(each.missing(names)) < len(names)
    ]

    def rank(each: Certificate) -> tuple[int, bool, int]:
        return -len(each.missing(names)), each.source == OWN, each.not_after

    return max(usable, key=rank, default=None)


def stored(app: AppPaths) -> Iterator[Certificate]:
    """Every certificate of the app on disk."""
    for kind in (OWN, ACME, SELF_SIGNED):
        if found := _read(place(app, kind)):
            yield found


def place(app: AppPaths, kind: str) -> Path:
    return app.nginx.with_name(f"{app.name}{SEPARATOR}{kind}.pem")


def _read(path: Path) -> Certificate | None:
    """The certificate in this file; None for one that piku did not write, or cannot read."""
    try:
        facts = json.loads(files.read(path).partition("\n")[0].removeprefix(_MARK))
        return Certificate(**{**facts, "names": tuple(facts["names"]), "path": str(path)})
    except (PikuError, ValueError, TypeError, KeyError):
        return None


def is_address(name: str) -> bool:
    """Whether this is an IPv4 address, and not a host name."""
    try:
        return bool(ipaddress.IPv4Address(name))
    except ValueError:
        return False


def is_public(name: str) -> bool:
    """Whether a public authority would certify this host name."""
    name = name.removeprefix("*.")
    local = any(name == each or name.endswith(f".{each}") for each in _LOCAL)
    return "." in name and not name.rpartition(".")[2].isdigit() and not local


def inspect(text: str, source: str) -> Certificate:
    """What a certificate says, given with its chain after it and its key as PEM; raises PikuError
    unless openssl can read both, they belong together, and it has not expired."""
    from ssl import cert_time_to_seconds

    facts = _openssl("certificate", text, "x509", *_FACTS)
    if _openssl("key", text, "pkey", "-pubout", "-passin", "pass:") not in facts:
        raise PikuError(
            "the key does not belong to the certificate",
            hint="give the key it was made with, and the certificate before its chain",
        )
    begins, ends = (cert_time_to_seconds(day) for day in re.findall(r"(?m)^not\w+=(.+)", facts))
    about, _, issuer = facts.partition("issuer=")
    parts = re.findall(r"(?m)^ +(?:CN|O)=(.+)$", issuer)
    found = Certificate(
        names=tuple(re.findall(r"(?:dns|ip address):([^,\s]+)", about.lower())),
        issuer=", ".join(reversed(parts)) or issuer.strip(),
        not_before=int(begins),
        not_after=int(ends),
        trusted=len(set(facts.split()[:2])) == 2,
        source=source,
    )
    if found.not_after <= time.time():
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


def write(app: AppPaths, kind: str, found: Certificate, text: str) -> Certificate:
    """Put a certificate in place, in one step; nginx uses it after its next reload."""
    stored = replace(found, path=str(place(app, kind)))
    head = f"{_MARK}{json.dumps(asdict(stored))}"
    files.write(place(app, kind), f"{head}\n{text}", mode=0o600, durable=True)
    return stored


def _self_signed(app: AppPaths, names: Sequence[str]) -> Certificate:
    """EC P-256, which even a Raspberry Pi makes at once."""
    found = _read(place(app, SELF_SIGNED))
    if found and found.names == tuple(names) and found.not_after > time.time():
        return found
    kinds = ",".join(f"{'IP' if is_address(name) else 'DNS'}:{name}" for name in names)
    text = subprocesses.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "3650", "-subj", "/CN=piku self-signed",
         "-addext", f"subjectAltName={kinds}", "-addext", "basicConstraints=CA:FALSE",
         "-keyout", "/dev/stdout"]
    )  # fmt: skip
    return write(app, SELF_SIGNED, inspect(text, SELF_SIGNED), text)
