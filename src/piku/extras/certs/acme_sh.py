"""acme.sh, a client of certificate authorities that its user installs in a folder of theirs."""

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from piku import files
from piku.errors import PikuError
from piku.extras.certs import acme
from piku.extras.certs.acme import Client, Issued
from piku.extras.certs.settings import ACME_ROOT, ACME_ROOT_CA
from piku.paths import Paths


def client(paths: Paths, values: Mapping[str, str]) -> Client | None:
    """acme.sh for an app with these settings, if it is installed."""
    program = home(paths, values) / "acme.sh"
    return Client(fetch=_fetch) if os.access(program, os.X_OK) else None


def home(paths: Paths, values: Mapping[str, str]) -> Path:
    """The folder of acme.sh, and of the certificates that it has and renews by its own timer."""
    return Path(ACME_ROOT.read(values) or paths.home / ".acme.sh")


def existing(root: Path, names: Sequence[str], since: float = 0) -> Issued | None:
    """The certificate that acme.sh has for these names, if it is newer than `since`."""
    for folder in (root / f"{names[0]}_ecc", root / names[0]):
        chain = folder / "fullchain.cer"
        if os.path.exists(chain) and chain.stat().st_mtime > since:
            text = files.read(chain) + files.read(folder / f"{names[0]}.key")
            with contextlib.suppress(PikuError):  # expired, for other names, or being written
                return acme.issued(text, names, "acme.sh")
    return None


def _fetch(paths: Paths, names: Sequence[str], values: Mapping[str, str]) -> Issued:
    root = home(paths, values)
    domains = [word for name in names for word in ("-d", name)]
    authority = ACME_ROOT_CA.read(values)
    # With --force because the caller knows best what is due: acme.sh counts days.
    argv = [str(root / "acme.sh"), "--issue", "--force", *domains, "-w", str(paths.acme)]
    own = {"LE_WORKING_DIR": str(root), "LE_CONFIG_HOME": str(root)}
    env = {"CURL_CA_BUNDLE": values.get("CURL_CA_BUNDLE", ""), **own}
    acme.run([*argv, "--server", authority], paths, env)
    if (found := existing(root, names)) is None:
        raise PikuError(f"acme.sh succeeded, but {root} has no valid certificate")
    return found
