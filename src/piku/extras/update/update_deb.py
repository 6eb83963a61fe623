"""`piku update` of the Debian package: fetched, checked, tried, installed, and taken back if it fails."""

from __future__ import annotations

import hashlib
import re
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import piku
from piku import files, subprocesses
from piku.errors import PikuError
from piku.extras.update import repack, selfcheck
from piku.output import Output

SETTINGS = Path("/etc/default/piku")
RELEASE_URL = "PIKU_RELEASE_URL"
KEPT = Path("/var/cache/piku/before.deb")  # what was installed before the last update
_MOST = 50 << 20  # bytes; a package has less than one million
_TIMEOUT = 60  # seconds without an answer


def setting(text: str) -> str:
    """The address of releases that a file of settings has, or nothing."""
    found = re.findall(rf"^{RELEASE_URL}=[\"']?([^\"'\s]+)[\"']?\s*$", text, re.MULTILINE)
    return str(found[-1]) if found else ""


def update(shared: Path, calling: Sequence[str], output: Output) -> None:
    """Bring the package that PIKU_RELEASE_URL names; `shared` is the folder of the one that is here. Raises
    PikuError."""
    url = setting(files.read(SETTINGS))
    if not url:
        raise PikuError(
            f"nobody has said where new packages are: {RELEASE_URL} is not set in {SETTINGS}",
            hint="get the newer package, and: apt install ./piku_*.deb; or if apt knows it: apt install --only-upgrade piku",
        )
    output.step(f"Fetching {url}")
    content = _fetch(url)
    _check_sum(url, content)
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with files.temporary_folder(KEPT.parent, "update") as place:
        file = Path(place, "piku.deb")
        file.write_bytes(content)
        version = _inspect(file)
        if (version, "installed") == (old := _state()):
            output.detail(f"piku {version} is the newest")
            return
        trial = _unpacked(file, Path(place, "trial"))
        before, _ = selfcheck.works(calling)
        _try(trial, version, before)
        # As dpkg would have it, and nobody's changes: see repack.
        repack.package("piku", KEPT, {str(SETTINGS): shared / "piku.default"})
        if problem := _install(file) or selfcheck.judge(calling, before):
            raise _taken_back(version, old, problem)
    output.step(f"piku was {old[0]}, and is {version} now; the apps have not noticed")


def _state() -> tuple[str, str]:
    """The version of the package that is here, and how far it is installed."""
    version, state = subprocesses.run(
        ["dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", "piku"]
    ).split()
    return version, state


def _fetch(url: str) -> bytes:
    if not url.startswith(("https://", "file:///")):
        raise PikuError(f"{RELEASE_URL}={url} is not an https address")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:  # noqa: S310 (checked above)
            content: bytes = answer.read(_MOST + 1)
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise PikuError(f"{url} cannot be fetched: {reason}") from None
    if len(content) > _MOST:
        raise PikuError(f"{url} is too large to be a package of piku")
    return content


def _check_sum(url: str, content: bytes) -> None:
    wanted = _fetch(f"{url}.sha256").decode(errors="replace").split()
    if not wanted or hashlib.sha256(content).hexdigest() != wanted[0].lower():
        raise PikuError(
            f"what {url} gave is not what {url}.sha256 says",
            hint="try again later; nothing was changed",
        )


def _inspect(file: Path) -> str:
    """The version of a package of piku that is not older than this one."""
    try:
        name, version = subprocesses.run(
            ["dpkg-deb", "-W", "--showformat=${Package} ${Version}", str(file)]
        ).split()
    except (subprocesses.ProgramFailed, ValueError):
        raise PikuError("what was fetched is no Debian package") from None
    if name != "piku":
        raise PikuError(f"what was fetched is the package {name!r}, not piku")
    if not subprocesses.succeeds(["dpkg", "--compare-versions", version, "ge", piku.__version__]):
        raise PikuError(
            f"what was fetched is older ({version}) than what is here ({piku.__version__})"
        )
    return version


def _unpacked(file: Path, place: Path) -> Path:
    subprocesses.run(["dpkg-deb", "-x", str(file), str(place)])
    for folder in (place.parent, place, *place.rglob("*")):
        folder.chmod(folder.stat().st_mode | (0o755 if folder.is_dir() else 0o644))
    return place


def _try(trial: Path, version: str, before: bool) -> None:
    """Have the new version look at this server before it is installed; raises PikuError."""
    start = f"import sys; sys.path[:0] = [{str(trial / 'usr/share/piku')!r}]; from piku.__main__ import main; main()"
    python = ["/usr/bin/python3", "-IB", "-c", start]
    # In a session of its own: nothing of the account's is to reach root's terminal.
    account = ["setsid", "--wait", "setpriv", "--reuid=piku", "--regid=piku", "--init-groups", "--"]
    home = str(Path("~piku").expanduser())
    env = {**subprocesses.environment(), "HOME": home, "PIKU_ROOT": f"{home}/.piku"}
    fine, said = selfcheck.works([*account, *python], env)
    if not fine and (before or "Traceback" in said):
        raise PikuError(
            f"{version} would not work here: it was not installed", detail=selfcheck.evidence(said)
        )


def _install(file: Path) -> str:
    """Have apt install the package; what it says when it cannot, or nothing."""
    # Nobody can be asked about /etc/default/piku: what the person has made of it stays.
    quietly = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--quiet",
               "--allow-downgrades", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300",
               "-o", "DPkg::Options::=--force-confdef", "-o", "DPkg::Options::=--force-confold"]  # fmt: skip
    try:
        subprocesses.run([*quietly, str(file)])
    except subprocesses.ProgramFailed as error:
        return error.output.strip() or str(error)
    return ""


def _taken_back(version: str, old: tuple[str, str], problem: str) -> PikuError:
    """Go back to the version that was here, and tell what is here now."""
    if _state() == old:
        return PikuError(
            f"{version} cannot be installed: {old[0]} stays", detail=selfcheck.evidence(problem)
        )
    failed = _install(KEPT)
    there, state = _state()
    if not failed and there == old[0]:
        return PikuError(
            f"{version} does not work here: went back to {there}",
            detail=selfcheck.evidence(problem),
        )
    return PikuError(
        f"{version} does not work here, and going back failed: {there} is here ({state})",
        hint=f"try again: apt install --allow-downgrades {KEPT}",
        detail=selfcheck.evidence(f"{problem}\n{failed}"),
    )
