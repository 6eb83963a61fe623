"""Which certificate an app is served with: its owner's own, an authority's, or a self-signed one.

Each is one file that nginx reads, chain then key, replaced by one rename: a certificate never meets
another one's key. Its first line, which no reader of PEM minds, says what is in it, so that choosing
runs no program. Files are named by what they certify: a deploy that fails leaves the live one alone.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from piku import files, subprocesses
from piku.paths import SEPARATOR, AppPaths
from piku.tls.pem import Bundle

_MARK = "# piku: "
_DAYS = 3650
OWN, SELF_SIGNED = "own", "self-signed"


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A file with chain and key, and what it says. Times are seconds of the epoch.

    `trusted` unless it is self-signed. `source` is "own", "self-signed", or the program that got it.
    """

    path: str
    names: tuple[str, ...]
    issuer: str
    not_before: int
    not_after: int
    trusted: bool
    source: str

    @classmethod
    def of(cls, path: str, bundle: Bundle, source: str) -> Certificate:
        found = bundle.facts
        return cls(
            path=path, names=found.names, issuer=found.issued_by, not_before=found.not_before,
            not_after=found.not_after, trusted=not found.self_signed, source=source,
        )  # fmt: skip

    def covers(self, name: str) -> bool:
        """Whether it is valid for a host name; `*.` in it stands for exactly one label."""
        return name in self.names or (
            not name.startswith("*.") and f"*.{name.partition('.')[2]}" in self.names
        )

    def missing(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if not self.covers(name)]

    def expired(self, now: float) -> bool:
        return self.not_after <= now

    def due(self, now: float) -> bool:
        """Whether less than a third of its lifetime is left."""
        return self.not_after - now < (self.not_after - self.not_before) / 3


def certificate(app: AppPaths, names: Sequence[str]) -> Certificate:
    """The certificate for these names now; a self-signed one is made if there is none better."""
    return best(app, names) or _self_signed(app, names)


def best(app: AppPaths, names: Sequence[str], now: float | None = None) -> Certificate | None:
    """The best one that somebody signed or the app's owner gave, if any is valid for one of the names."""
    return choose(stored(app), names, time.time() if now is None else now)


def choose(known: Iterable[Certificate], names: Sequence[str], now: float) -> Certificate | None:
    """Of those that are valid: the one that covers most names, before others the owner's own, then the
    one that is valid for longest. A name more in the settings must not break the others."""
    usable = [one for one in known if not one.expired(now) and (one.trusted or one.source == OWN)]
    usable = [one for one in usable if len(one.missing(names)) < len(names)]
    return max(
        usable,
        key=lambda one: (-len(one.missing(names)), one.source == OWN, one.not_after),
        default=None,
    )


def stored(app: AppPaths) -> Iterator[Certificate]:
    """Every certificate of the app that is on disk; a file that piku did not write is passed over."""
    for path in sorted(app.nginx.parent.glob(f"{app.name}{SEPARATOR}*.pem")):
        found = _read(path)
        if found is not None:
            yield found


def own_path(app: AppPaths) -> Path:
    """The certificate that the app's owner gave."""
    return _place(app, "own")


def acme_path(app: AppPaths, names: Sequence[str]) -> Path:
    """The certificate from an authority for these names."""
    return _place(app, f"acme-{_fingerprint(names)}")


def store(path: Path, bundle: Bundle, source: str) -> Certificate:
    """Put a certificate in place, in one step."""
    return _write(Certificate.of(str(path), bundle, source), bundle.text)


def _write(one: Certificate, text: str) -> Certificate:
    said = {name: value for name, value in asdict(one).items() if name != "path"}
    files.write(Path(one.path), f"{_MARK}{json.dumps(said)}\n{text}", mode=0o600, durable=True)
    return one


def _read(path: Path) -> Certificate | None:
    first, _, rest = files.read(path).partition("\n")
    if not first.startswith(_MARK) or "-----BEGIN " not in rest:
        return None
    try:
        said = json.loads(first.removeprefix(_MARK))
        return Certificate(path=str(path), **{**said, "names": tuple(said["names"])})
    except (ValueError, TypeError, KeyError):
        return None


def _place(app: AppPaths, what: str) -> Path:
    return app.nginx.with_name(f"{app.name}{SEPARATOR}{what}.pem")


def _fingerprint(names: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]


# --- self-signed ---------------------------------------------------------------------------------


def _self_signed(app: AppPaths, names: Sequence[str]) -> Certificate:
    """EC P-256, which even a Raspberry Pi makes at once."""
    place = _place(app, f"self-{_fingerprint(names)}")
    found = _read(place)
    return found if found and not found.expired(time.time()) else _self_sign(place, names)


def _self_sign(place: Path, names: Sequence[str]) -> Certificate:
    with files.temporary_folder(place.parent, "certificate") as folder:
        key, crt = Path(folder, "key"), Path(folder, "crt")
        # The names go into a file, not into -subj: a common name may have no more than 64 characters.
        config = Path(folder, "request.cnf")
        config.write_text(_request(names))
        subprocesses.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", str(_DAYS), "-config", str(config), "-keyout", str(key), "-out", str(crt)]
        )  # fmt: skip
        now = int(time.time())
        one = Certificate(
            path=str(place), names=tuple(names), issuer=SELF_SIGNED, not_before=now,
            not_after=now + _DAYS * 86400, trusted=False, source=SELF_SIGNED,
        )  # fmt: skip
        return _write(one, crt.read_text() + key.read_text())


def _request(names: Sequence[str]) -> str:
    alternatives = "\n".join(
        f"{_kind(name)}.{number} = {name}" for number, name in enumerate(names, 1)
    )
    return (
        "[req]\nprompt = no\ndistinguished_name = subject\nx509_extensions = extensions\n"
        "[subject]\nCN = piku self-signed\n"
        "[extensions]\nsubjectAltName = @names\nbasicConstraints = CA:FALSE\n"
        f"[names]\n{alternatives}\n"
    )


def _kind(name: str) -> str:
    return "IP" if is_address(name) else "DNS"


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
