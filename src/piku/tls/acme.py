"""Certificates from an authority (RFC 8555) by way of acme.sh, or of a client that an extra has.

A client may take minutes and fail: no deploy waits for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from piku import files, output, subprocesses
from piku.errors import PikuError
from piku.extra import hooks

_TIMEOUT = 300.0  # seconds
_NOT_DUE = 2  # acme.sh has a certificate for these names that it would not renew yet
_WHEN = re.compile(r"^(\[[^\]]*20\d\d[^\]]*\]|\d{4}/\d\d/\d\d [\d:]+)\s*")
# Names of one machine or network, which no public authority certifies.
_LOCAL = (
    "localhost", "local", "test", "example", "invalid", "internal", "lan", "localdomain",
    "home.arpa",
    "home", "corp", "intranet", "private", "onion", "example.com", "example.net", "example.org",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Order:
    """A certificate to get, and how. `settings` are the app's, with DNS credentials."""

    names: tuple[str, ...]
    webroot: Path  # where the answers to the authority's challenges go
    root: Path  # the folder of acme.sh
    state: Path  # where other clients keep their accounts
    authority: str
    home: Path
    email: str = ""
    options: tuple[str, ...] = ()
    settings: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Client:
    """A program that gets certificates; an extra names its own in the hook `acme_client`.

    `fetch` returns chain and key as PEM, or raises PikuError with the program's last words.
    """

    name: str
    installed: Callable[[Path], bool]  # given the folder of acme.sh
    by_dns: Callable[[Mapping[str, str]], bool]  # whether these settings have it prove names by DNS
    fetch: Callable[[Order], str]


def client(root: Path, settings: Mapping[str, str]) -> Client | None:
    """The client for an app with these settings: acme.sh where it is installed, unless another one
    proves names by DNS, which a wildcard needs."""
    found = [one for one in (ACME_SH, *hooks("acme_client")) if one.installed(root)]
    return next((one for one in found if one.by_dns(settings)), next(iter(found), None))


def is_public(name: str) -> bool:
    """Whether a public authority would certify this host name."""
    name = name.removeprefix("*.")
    labels = name.split(".")
    local = any(name == one or name.endswith(f".{one}") for one in _LOCAL)
    return len(labels) > 1 and not labels[-1].isdigit() and not local


# --- acme.sh -------------------------------------------------------------------------------------


def existing(root: Path, name: str, since: float = 0) -> Iterator[str]:
    """Chain and key of the certificates that acme.sh has for this name, if they are newer."""
    for folder in (root / f"{name}_ecc", root / name):
        chain = folder / "fullchain.cer"
        if chain.exists() and chain.stat().st_mtime > since:
            yield files.read(chain) + files.read(folder / f"{name}.key")


def issue(order: Order) -> list[str]:
    """How acme.sh is called for a certificate."""
    return [
        str(order.root / "acme.sh"), "--issue", *each("-d", order.names), "-w", str(order.webroot),
        "--server", order.authority, *(["-m", order.email] if order.email else []), *order.options,
    ]  # fmt: skip


def _fetch(order: Order) -> str:
    home = {"LE_WORKING_DIR": str(order.root), "LE_CONFIG_HOME": str(order.root)}
    env = {"CURL_CA_BUNDLE": order.settings.get("CURL_CA_BUNDLE", ""), **home}
    try:
        try:
            run(issue(order), order, env)
        except subprocesses.ProgramFailed as error:
            if error.status != _NOT_DUE:
                raise
            run([*issue(order), "--force"], order, env)
    except subprocesses.ProgramFailed as error:
        raise failure(ACME_SH.name, order, error) from None
    found = next(existing(order.root, order.names[0]), "")
    if not found:
        raise PikuError(f"acme.sh succeeded, but {order.root} has no certificate")
    return found


ACME_SH = Client(
    name="acme.sh",
    installed=lambda root: os.access(root / "acme.sh", os.X_OK),
    by_dns=lambda _settings: False,
    fetch=_fetch,
)


# --- for every client ----------------------------------------------------------------------------


def each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def run(argv: Sequence[str], order: Order, env: Mapping[str, str]) -> None:
    """Run a client; raises ProgramFailed."""
    order.webroot.mkdir(parents=True, exist_ok=True)
    # A program of the same name in an app's own folders is not meant.
    system = {"PATH": subprocesses.SYSTEM_PATH, "HOME": str(order.home), "LANG": "C.UTF-8"}
    subprocesses.stream(
        argv, cwd=order.webroot, env={**env, **system}, sink=lambda _line: None, timeout=_TIMEOUT
    )


def failure(name: str, order: Order, error: subprocesses.ProgramFailed) -> PikuError:
    """What went wrong in the program's last words, without times, progress and secrets."""
    text = error.output
    for setting, value in order.settings.items():
        if len(value) >= 6 and output.is_secret(setting, value):
            text = text.replace(value, output.MASK)
    lines = [_WHEN.sub("", line).strip() for line in text.splitlines()]
    said = [line for line in lines if line and not line.startswith("[INFO]")]
    return PikuError(f"{name} got no certificate", detail=tuple(said[-6:]))
