"""Certificates from an authority (RFC 8555), by way of acme.sh where that is installed, else of lego.

Everything here may take minutes and fail: no deploy waits for it.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from piku import files, output, subprocesses
from piku.errors import PikuError
from piku.tls import pem
from piku.tls.pem import Bundle

ACME_SH, LEGO = "acme.sh", "lego"
_TIMEOUT = 300.0
_NOT_DUE = 2  # acme.sh has a certificate for these names that it would not renew yet
_LIVE = "https://acme-v02.api.letsencrypt.org/directory"
_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
# The names that acme.sh has for the one authority that is not asked for by its address.
_DIRECTORIES = {
    **dict.fromkeys(("letsencrypt.org", "letsencrypt"), _LIVE),
    **dict.fromkeys(("letsencrypt.org_test", "letsencrypt_test", "letsencrypttest"), _STAGING),
}
# Switches of acme.sh that an app may well have as settings of its own.
_SWITCHES = {
    "DEBUG",
    "FORCE",
    "STAGE",
    "LOG_FILE",
    "LOG_LEVEL",
    "SYS_LOG",
    "USER_AGENT",
    "DOMAIN_PATH",
}
_WHEN = re.compile(r"^(\[[^\]]*20\d\d[^\]]*\]|\d{4}/\d\d/\d\d [\d:]+)\s*")
_SECRET = 6  # a shorter text would be found in ordinary words
# Names that mean something on one machine or network only, so that no public authority certifies them.
_LOCAL = (
    "localhost", "local", "test", "example", "invalid", "internal", "lan", "localdomain", "home.arpa",
    "home", "corp", "intranet", "private", "onion", "example.com", "example.net", "example.org",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is asked for, and how. `settings` are the app's, among them credentials for its DNS."""

    names: tuple[str, ...]
    webroot: Path
    root: Path  # the folder of acme.sh
    state: Path  # where lego keeps accounts and what it got
    authority: str
    home: Path
    email: str = ""
    dns: str = ""
    options: tuple[str, ...] = ()
    settings: Mapping[str, str]
    key: Path  # where acme.sh installs to, now and at renewals of its own
    chain: Path
    reload: Sequence[str]  # what it runs then


def is_public(name: str) -> bool:
    """Whether a public authority would certify this host name."""
    name = name.removeprefix("*.")
    labels = name.split(".")
    local = any(name == one or name.endswith(f".{one}") for one in _LOCAL)
    return len(labels) > 1 and not labels[-1].isdigit() and not local


def existing(root: Path, names: Sequence[str]) -> Iterator[Bundle]:
    """Certificates that acme.sh has for the first of the names, installed or not any more."""
    for place in (root / f"{names[0]}_ecc", root / names[0]):
        found = read(place / "fullchain.cer", place / f"{names[0]}.key")
        if found is not None:
            yield found


def read(chain: Path, key: Path) -> Bundle | None:
    """The certificate in two files, if it is one and valid."""
    try:
        texts = files.read(chain), files.read(key)
        return pem.bundle(*texts) if all(texts) else None
    except (PikuError, OSError):
        return None


def client(root: Path) -> str:
    """The program that gets certificates here; empty when there is none."""
    if os.access(root / ACME_SH, os.X_OK):
        return ACME_SH
    return LEGO if subprocesses.which(LEGO) else ""


def get(order: Order, *, force: bool = False) -> Bundle:
    """Get a certificate; raises PikuError with the program's own last words. `force` has acme.sh renew
    one that it takes for good enough."""
    known = client(order.root)
    if not known:
        raise PikuError(
            "no program is installed that gets certificates",
            hint=f"apt-get install lego, or install acme.sh in {order.root}",
        )
    return _by_acme_sh(order, force=force) if known == ACME_SH else _by_lego(order)


# --- acme.sh -------------------------------------------------------------------------------------


def acme_sh_issue(order: Order, *, force: bool = False) -> list[str]:
    """How acme.sh is asked for a certificate."""
    proof = ["--dns", order.dns] if order.dns else ["-w", str(order.webroot)]
    return [
        str(order.root / ACME_SH), "--issue", *_each("-d", order.names), *proof,
        "--server", order.authority, *(["-m", order.email] if order.email else []),
        *(["--force"] if force else []), *order.options,
    ]  # fmt: skip


def acme_sh_install(order: Order) -> list[str]:
    """How acme.sh is told where its certificate belongs: it remembers that for renewals of its own."""
    first = order.names[0]
    # It prefers a folder of RSA times, from which nothing new comes.
    both = (order.root / first).is_dir() and (order.root / f"{first}_ecc").is_dir()
    return [
        str(order.root / ACME_SH), "--install-cert", "-d", first, *(["--ecc"] if both else []),
        "--key-file", str(order.key), "--fullchain-file", str(order.chain),
        "--reloadcmd", shlex.join(order.reload),
    ]  # fmt: skip


def _by_acme_sh(order: Order, *, force: bool) -> Bundle:
    home = {"LE_WORKING_DIR": str(order.root), "LE_CONFIG_HOME": str(order.root)}
    settings = {name: value for name, value in order.settings.items() if name not in _SWITCHES}
    env = {**settings, **_system(order), **home}
    try:
        _run(acme_sh_issue(order, force=force), order, env)
    except subprocesses.ProgramFailed as error:
        if error.status != _NOT_DUE:
            raise _failure(ACME_SH, order, error) from None
    try:
        _run(acme_sh_install(order), order, env)
    except subprocesses.ProgramFailed as error:
        raise _failure(ACME_SH, order, error) from None
    return _fetched(ACME_SH, order.chain, order.key)


# --- lego ----------------------------------------------------------------------------------------


def directory(authority: str) -> str:
    """The address of an authority's directory; raises PikuError for a name that only acme.sh knows."""
    if authority.startswith("https://"):
        return authority
    if authority.lower() in _DIRECTORIES:
        return _DIRECTORIES[authority.lower()]
    raise PikuError(
        f"ACME_ROOT_CA={authority}: lego knows no authority of that name",
        hint="give the https address of its ACME directory",
    )


def lego(order: Order) -> list[str]:
    """How lego is asked for a certificate."""
    proof = ["--dns", order.dns] if order.dns else ["--http", "--http.webroot", str(order.webroot)]
    return [
        "lego", "--path", str(order.state), "--server", directory(order.authority), "--accept-tos",
        "--email", _account(order), *_each("--domains", order.names), *proof, *order.options, "run",
    ]  # fmt: skip


def _by_lego(order: Order) -> Bundle:
    order.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    env = {**order.settings, **_system(order)}
    argv = lego(order)
    try:
        try:
            _run(argv, order, env)
        except subprocesses.ProgramFailed as error:
            if ":accountDoesNotExist" not in error.output:
                raise
            # The authority has forgotten us; without what we know of it, lego introduces itself anew.
            files.remove(_accounts(order) / _account(order))
            _run(argv, order, env)
    except subprocesses.ProgramFailed as error:
        raise _failure(LEGO, order, error) from None
    name = order.names[0].replace("*", "_")
    got = order.state / "certificates"
    return _fetched(LEGO, got / f"{name}.crt", got / f"{name}.key")


def _accounts(order: Order) -> Path:
    return order.state / "accounts" / urlsplit(directory(order.authority)).netloc.replace(":", "_")


def _account(order: Order) -> str:
    """The account's address, which lego insists on: the one that was given, else that of any account
    there is, else the customary one of the site (RFC 2142, section 5)."""
    if order.email:
        return order.email
    known = sorted(path.name for path in _accounts(order).glob("*@*"))
    return known[0] if known else f"webmaster@{order.names[0].removeprefix('*.')}"


# --- both ----------------------------------------------------------------------------------------


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


def _system(order: Order) -> dict[str, str]:
    # A program of the same name in an app's own folders is not meant.
    return {"PATH": subprocesses.SYSTEM_PATH, "HOME": str(order.home), "LANG": "C.UTF-8"}


def _run(argv: Sequence[str], order: Order, env: Mapping[str, str]) -> None:
    order.webroot.mkdir(parents=True, exist_ok=True)
    subprocesses.stream(argv, cwd=order.webroot, env=env, sink=lambda _line: None, timeout=_TIMEOUT)


def _fetched(name: str, chain: Path, key: Path) -> Bundle:
    try:
        return pem.bundle(files.read(chain), files.read(key))
    except PikuError as error:
        raise PikuError(f"{name} said that all is well, but {error.message}: {chain}") from None


def _failure(name: str, order: Order, error: subprocesses.ProgramFailed) -> PikuError:
    """What went wrong in the program's words, without times, progress and secrets."""
    text = error.output
    for setting, value in order.settings.items():
        if len(value) >= _SECRET and output.is_secret(setting, value):
            text = text.replace(value, output.MASK)
    lines = [_WHEN.sub("", line).strip() for line in text.splitlines()]
    told = [line for line in lines if line and not line.startswith("[INFO]")]
    return PikuError(f"{name} got no certificate", detail=tuple(told[-6:]))
