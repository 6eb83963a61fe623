"""Which certificate an app is served with.

Self-signed ones are EC P-256, which even a Raspberry Pi makes at once.
"""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from piku import effects, programs
from piku.paths import SEPARATOR, AppPaths

_DAYS = 3650


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A file with chain and key; `trusted` unless it is self-signed."""

    path: str
    trusted: bool


def certificate(app: AppPaths, names: tuple[str, ...]) -> Certificate:
    """The certificate for these names.

    The file is named by what it certifies, so a deploy that fails leaves the live one as it was.
    """
    fingerprint = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    place = app.nginx.with_name(f"{app.name}{SEPARATOR}self-{fingerprint}.pem")
    if not place.exists():
        _self_sign(place, names)
    return Certificate(path=str(place), trusted=False)


def _self_sign(place: Path, names: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory(prefix=".certificate.", suffix=".tmp", dir=place.parent) as folder:
        key, crt = Path(folder, "key"), Path(folder, "crt")
        # The names go into a file, not into -subj: a common name may have no more than 64 characters.
        config = Path(folder, "request.cnf")
        config.write_text(_request(names))
        programs.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-days", str(_DAYS), "-config", str(config), "-keyout", str(key), "-out", str(crt)]
        )  # fmt: skip
        effects.write(place, crt.read_text() + key.read_text(), mode=0o600)


def _request(names: tuple[str, ...]) -> str:
    alternatives = "\n".join(f"DNS.{number} = {name}" for number, name in enumerate(names, 1))
    return (
        "[req]\nprompt = no\ndistinguished_name = subject\nx509_extensions = extensions\n"
        "[subject]\nCN = piku self-signed\n"
        "[extensions]\nsubjectAltName = @names\nbasicConstraints = CA:FALSE\n"
        f"[names]\n{alternatives}\n"
    )
