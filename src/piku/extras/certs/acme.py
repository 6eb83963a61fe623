"""Certificates from an authority (RFC 8555), by way of a client: acme.sh, or lego.

A client may take minutes and fail: no deploy waits for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from piku import subprocesses
from piku.errors import PikuError
from piku.paths import Paths
from piku.tls import certificate
from piku.tls.certificate import Certificate

Issued = tuple[Certificate, str]  # and chain and key as PEM


@dataclass(frozen=True, kw_only=True)
class Client:
    """A program that gets certificates from an authority.

    `fetch` is given the names and the app's settings; it raises PikuError with the program's last
    words. `wildcards`: whether it proves names by DNS.
    """

    fetch: Callable[[Paths, Sequence[str], Mapping[str, str]], Issued]
    wildcards: bool = False


def issued(text: str, names: Sequence[str], source: str) -> Issued:
    """What a client got; raises PikuError unless it is usable for all of these names."""
    found = certificate.inspect(text, source)
    if missing := found.missing(names):
        raise PikuError(f"the certificate from {source} is not for {', '.join(missing)}")
    return found, text


def run(argv: Sequence[str], paths: Paths, env: Mapping[str, str]) -> None:
    """Run a client; raises ProgramFailed."""
    # A program of the same name in an app's own folders is not meant.
    system = {"PATH": subprocesses.SYSTEM_PATH, "HOME": str(paths.home), "LANG": "C.UTF-8"}
    subprocesses.stream(
        argv, cwd=paths.acme, env={**env, **system}, sink=lambda _line: None, timeout=300
    )
