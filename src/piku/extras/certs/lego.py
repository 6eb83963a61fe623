"""lego, a client of certificate authorities that Debian has, and that can prove names by DNS."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from piku import files, subprocesses
from piku.errors import PikuError
from piku.extras.certs import acme
from piku.extras.certs.acme import Client, Issued
from piku.extras.certs.settings import ACME_DNS, ACME_EMAIL, ACME_OPTIONS, ACME_ROOT_CA
from piku.paths import Paths

_LIVE = "https://acme-v02.api.letsencrypt.org/directory"
_STAGING = "https://acme-staging-v02.api.letsencrypt.org/directory"
# acme.sh's names for the one authority that is not configured by its address.
_DIRECTORIES = {
    **dict.fromkeys(("letsencrypt.org", "letsencrypt"), _LIVE),
    **dict.fromkeys(("letsencrypt.org_test", "letsencrypt_test", "letsencrypttest"), _STAGING),
}


def client(values: Mapping[str, str]) -> Client | None:
    """lego for an app with these settings, if it is installed."""
    if subprocesses.which("lego", subprocesses.SYSTEM_PATH) is None:
        return None
    return Client(fetch=fetch, wildcards=bool(ACME_DNS.read(values)))


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


def command(paths: Paths, names: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """How lego is called for a certificate."""
    provider = ACME_DNS.read(values)
    proof = ["--dns", provider] if provider else ["--http", "--http.webroot", str(paths.acme)]
    domains = [word for name in names for word in ("--domains", name)]
    return [
        "lego", "--path", str(state(paths)), "--server", _server(values), "--accept-tos",
        "--email", _account(paths, names, values), *domains, *proof, *ACME_OPTIONS.read(values),
        "run",
    ]  # fmt: skip


def state(paths: Paths) -> Path:
    """Where lego keeps its accounts."""
    return paths.root / "certificates"


def _server(values: Mapping[str, str]) -> str:
    return directory(ACME_ROOT_CA.read(values))


def _accounts(paths: Paths, values: Mapping[str, str]) -> Path:
    return state(paths) / "accounts" / urlsplit(_server(values)).netloc.replace(":", "_")


def _account(paths: Paths, names: Sequence[str], values: Mapping[str, str]) -> str:
    """The account's address, which lego insists on: the given one, else that of any account there
    is, else the customary one of the site (RFC 2142, section 5)."""
    if email := ACME_EMAIL.read(values):
        return email
    known = sorted(path.name for path in _accounts(paths, values).glob("*@*"))
    return known[0] if known else f"webmaster@{names[0].removeprefix('*.')}"


def fetch(paths: Paths, names: Sequence[str], values: Mapping[str, str]) -> Issued:
    state(paths).mkdir(exist_ok=True, mode=0o700)
    argv = command(paths, names, values)
    try:
        try:
            acme.run(argv, paths, values)
        except subprocesses.ProgramFailed as error:
            if ":accountDoesNotExist" not in error.output:
                raise
            # The authority has forgotten us; without the account's files lego makes a new one.
            files.remove(_accounts(paths, values) / _account(paths, names, values))
            acme.run(argv, paths, values)
    except subprocesses.ProgramFailed as error:
        said = [line for line in error.output.splitlines() if "[INFO]" not in line]
        raise PikuError("lego got no certificate", detail=tuple(said[-6:])) from None
    name = names[0].replace("*", "_")
    got = state(paths) / "certificates"
    text = files.read(got / f"{name}.crt") + files.read(got / f"{name}.key")
    return acme.issued(text, names, "lego")
