"""Updating the Debian package: fetched, tried, installed by apt, and back if that fails."""

import hashlib
import re
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from piku import files, subprocesses
from piku.errors import PikuError
from piku.extras.update import selfcheck
from piku.output import Output

SETTINGS = Path("/etc/default/piku")
KEPT = Path("/var/cache/piku")  # this version and the one before, for going back
_APT = (
    "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--quiet",
    "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300",
    "-o", "DPkg::Options::=--force-confdef", "-o", "DPkg::Options::=--force-confold",
)  # fmt: skip


def release_url(settings: str) -> str:
    """The address of new packages in a file of settings, or nothing."""
    found = re.findall(r"^PIKU_RELEASE_URL=[\"']?([^\"'\s]+)", settings, re.MULTILINE)
    return str(found[-1]) if found else ""


def update(command: Sequence[str], output: Output) -> None:
    """Install the package at PIKU_RELEASE_URL; raises PikuError."""
    if not (url := release_url(files.read(SETTINGS))):
        raise PikuError(f"{SETTINGS} has no PIKU_RELEASE_URL", hint="apt install ./piku_*.deb")
    old = _installed()
    output.step(f"Fetching {url}")
    with files.temporary_folder(KEPT, "update") as folder:
        deb = Path(folder, "piku.deb")
        deb.write_bytes(_fetch(url))
        version = subprocesses.run(["dpkg-deb", "-f", str(deb), "Version"]).strip()
        if version == old:
            output.detail(f"piku {version} is the newest")
            return
        before = selfcheck.examine(command)
        if faults := selfcheck.new_faults(before, _try(deb)):
            raise PikuError(f"{version} does not work here: it was not installed", detail=faults)
        faults = _install(deb)
        if faults and _installed() == old:  # apt itself failed
            raise PikuError(f"{version} was not installed: piku is {old}, as it was", detail=faults)
        faults = faults or selfcheck.new_faults(before, selfcheck.examine(command))
        if faults:
            raise _taken_back(version, old, faults)
        for kept in {*KEPT.glob("piku_*.deb")} - {_kept(old)}:
            kept.unlink()
        deb.rename(_kept(version))
    output.step(f"piku was {old} and is now {version}; the apps kept running")


def _installed() -> str:
    return subprocesses.run(["dpkg-query", "-W", "-f", "${Version}", "piku"])


def _fetch(url: str) -> bytes:
    """Download a package and compare it with the SHA-256 in the file beside it."""
    if not url.startswith(("https://", "file:///")):
        raise PikuError(f"PIKU_RELEASE_URL={url} is not an https address")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 (checked)
            content: bytes = answer.read()
        with urllib.request.urlopen(f"{url}.sha256", timeout=60) as answer:  # noqa: S310
            digest = answer.read().decode(errors="replace").lower()
    except (OSError, ValueError) as error:
        raise PikuError(f"{url} cannot be fetched: {error}") from None
    if hashlib.sha256(content).hexdigest() not in digest:
        raise PikuError(f"{url} does not match {url}.sha256: nothing was changed")
    return content


def _try(deb: Path) -> str:
    """What the doctor of the new version prints, before that is installed."""
    folder = deb.parent / "trial"
    subprocesses.run(["dpkg-deb", "-x", str(deb), str(folder)])
    deb.parent.chmod(0o755)  # the user piku has to read it
    path = f"{folder}/usr/share/piku"
    start = f"import sys; sys.path[:0] = [{path!r}]; from piku.__main__ import main; main()"
    user = ["setpriv", "--reuid=piku", "--regid=piku", "--init-groups", "--reset-env", "--"]
    return selfcheck.examine(["setsid", "--wait", *user, "/usr/bin/python3", "-IB", "-c", start])


def _install(deb: Path, *options: str) -> tuple[str, ...]:
    """Have apt install a package; what it says if it fails."""
    try:
        subprocesses.run([*_APT, *options, str(deb)])
    except subprocesses.ProgramFailed as error:
        return error.detail
    return ()


def _kept(version: str) -> Path:
    return KEPT / f"piku_{version}_all.deb"


def _taken_back(version: str, old: str, faults: tuple[str, ...]) -> PikuError:
    """Go back to the old version, if its package was kept."""
    what, hint = f"{version} does not work here: went back to {old}", ""
    if not _kept(old).exists() or _install(_kept(old), "--allow-downgrades"):
        what = f"{version} does not work here, and going back to {old} failed"
        place = _kept(old) if _kept(old).exists() else f"./piku_{old}_all.deb"
        hint = f"install its package: apt install --allow-downgrades {place}"
    return PikuError(what, hint=hint, detail=faults)
