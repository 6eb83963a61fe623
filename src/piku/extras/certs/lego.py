"""lego, a client of certificate authorities that Debian has, and that can prove names by DNS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from piku import files, subprocesses
from piku.errors import PikuError
from piku.extras.certs.settings import ACME_DNS
from piku.tls import acme
from piku.tls.acme import Client, Order

_LIVE = "https://acme-v02.api.letsencrypt.org/directory"
_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
# acme.sh's names for the one authority that is not configured by its address.
_DIRECTORIES = {
    **dict.fromkeys(("letsencrypt.org", "letsencrypt"), _LIVE),
    **dict.fromkeys(("letsencrypt.org_test", "letsencrypt_test", "letsencrypttest"), _STAGING),
}


def directory(authority: str) -> str:
    """The address of an authority's directory; raises PikuError for a name of acme.sh's alone."""
    if authority.startswith("https://"):
        return authority
    if authority.lower() in _DIRECTORIES:
        return _DIRECTORIES[authority.lower()]
    raise PikuError(
        f"ACME_ROOT_CA={authority}: lego knows no authority of that name",
        hint="give the https address of its ACME directory",
    )


def command(order: Order) -> list[str]:
    """How lego is called for a certificate."""
    provider = ACME_DNS.read(order.settings)
    proof = ["--dns", provider] if provider else ["--http", "--http.webroot", str(order.webroot)]
    return [
        "lego", "--path", str(order.state), "--server", directory(order.authority), "--accept-tos",
        "--email", _account(order), *acme.each("--domains", order.names), *proof, *order.options,
        "run",
    ]  # fmt: skip


def _accounts(order: Order) -> Path:
    return order.state / "accounts" / urlsplit(directory(order.authority)).netloc.replace(":", "_")


def _account(order: Order) -> str:
    """The account's address, which lego insists on: the given one, else that of any account there
    is, else the customary one of the site (RFC 2142, section 5)."""
    if order.email:
        return order.email
    known = sorted(path.name for path in _accounts(order).glob("*@*"))
    return known[0] if known else f"webmaster@{order.names[0].removeprefix('*.')}"


def _fetch(order: Order) -> str:
    order.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    argv = command(order)
    try:
        try:
            acme.run(argv, order, order.settings)
        except subprocesses.ProgramFailed as error:
            if ":accountDoesNotExist" not in error.output:
                raise
            # The authority has forgotten us; without the account's files lego makes a new one.
            files.remove(_accounts(order) / _account(order))
            acme.run(argv, order, order.settings)
    except subprocesses.ProgramFailed as error:
        raise acme.failure("lego", order, error) from None
    name = order.names[0].replace("*", "_")
    got = order.state / "certificates"
    return files.read(got / f"{name}.crt") + files.read(got / f"{name}.key")


def _by_dns(settings: Mapping[str, str]) -> bool:
    return bool(ACME_DNS.read(settings))


CLIENT = Client(
    name="lego",
    installed=lambda _root: subprocesses.which("lego", subprocesses.SYSTEM_PATH) is not None,
    by_dns=_by_dns,
    fetch=_fetch,
)
