"""`piku update`: a newer piku, brought the way this one was installed, and taken back if it does not work here.

The apps go on meanwhile: nothing of nginx, of the emperor or of theirs is replaced.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import piku
from piku import effects, programs
from piku.errors import PikuError
from piku.operate import repack
from piku.output import Output

SETTINGS = Path("/etc/default/piku")
RELEASE_URL = "PIKU_RELEASE_URL"
KEPT = Path("/var/cache/piku/before.deb")  # what was installed before the last update
UNIT = Path("/etc/systemd/system/piku-emperor.service")  # where install.sh puts it, and the package does not
_SHARED = Path("/usr/share/piku")
_MOST = 50 << 20  # bytes; a package has less than one million
_TIMEOUT = 60  # seconds without an answer


@dataclass(frozen=True, kw_only=True)
class Installed:
    """How this piku came here ("package", "checkout" or "copy"), and the folder with it."""

    kind: str
    folder: Path


def installed() -> Installed:
    package = Path(piku.__file__).resolve().parent
    if package.is_relative_to(_SHARED):
        return Installed(kind="package", folder=_SHARED)
    folder = package.parents[1]
    # What pipx installed, or one file, may lie in somebody's repository: that is not piku's.
    own = package.parent.name == "src" and (folder / ".git").exists()
    return Installed(kind="checkout" if own else "copy", folder=folder)


def update(own: Installed, wanted: str | None, calling: Sequence[str], output: Output) -> None:
    """Bring a newer version; `wanted` is the branch, tag or commit of a checkout. Raises PikuError."""
    if own.kind == "checkout":
        _checkout(own.folder, wanted, calling, output)
    elif wanted is not None:
        raise PikuError("--to is for a piku that runs from a git checkout", code=2)
    elif own.kind == "package":
        _package(setting(effects.read(SETTINGS)), calling, output)
    else:
        raise unknown(Path(piku.__file__).parent)


def unknown(package: Path) -> PikuError:
    """What to tell about a piku that cannot know where it came from."""
    if package.parent.name == "src":
        return PikuError(
            f"this piku is a copy of the source, in {package.parents[1]}: nobody knows where it came from",
            hint="put the newer one there; on a server, run its install.sh",
        )
    if package.parent.is_file():
        return PikuError(
            f"this piku is the file {package.parent}",
            hint="put the newer one in its place; make zipapp builds it, in a checkout",
        )
    return PikuError(
        f"this piku was installed into {package.parent}, by something that knows where from",
        hint="have that bring the newer one: pipx upgrade piku, or uv tool upgrade piku",
    )


def setting(text: str) -> str:
    """The address of releases that a file of settings has, or nothing."""
    found = re.findall(rf"^{RELEASE_URL}=[\"']?([^\"'\s]+)[\"']?\s*$", text, re.MULTILINE)
    return str(found[-1]) if found else ""


# --- whether it works ------------------------------------------------------------------------------


def works(calling: Sequence[str], env: Mapping[str, str] | None = None) -> tuple[bool, str]:
    """Whether the piku that is called so finds itself in order, and what it says."""
    try:
        # In a folder where nothing tells piku to ask another server.
        return True, programs.run([*calling, "doctor", "--self"], cwd=Path("/"), env=env, merged=True)
    except programs.ProgramFailed as error:
        return False, error.output


def _judge(calling: Sequence[str], before: bool) -> str:
    """What speaks against the version that is here now. One fault that was there before does not."""
    fine, said = works(calling)
    if fine or (not before and "problem" in said and "Traceback" not in said):
        return ""
    return said.strip() or "it does not start"


def _evidence(said: str) -> tuple[str, ...]:
    lines = said.strip().splitlines()
    return tuple(lines[-1:] if any("Traceback" in line for line in lines) else lines[-20:])


# --- a checkout ------------------------------------------------------------------------------------


def _checkout(folder: Path, wanted: str | None, calling: Sequence[str], output: Output) -> None:
    if _git(folder, "status", "--porcelain", "--untracked-files=no"):
        raise PikuError(
            f"files of {folder} were changed by hand",
            hint=f"see them, and take them back: git -C {folder} diff; git -C {folder} checkout .",
        )
    old = _git(folder, "rev-parse", "HEAD")
    output.step(f"Fetching into {folder}")
    new = _fetched(folder, wanted)
    if new == old:
        output.detail(f"piku {piku.__version__} ({old[:8]}) is the newest")
        return
    if not programs.succeeds(
        ["git", *_trust(folder), "-C", str(folder), "merge-base", "--is-ancestor", old, new]
    ):
        raise PikuError(
            f"{new[:8]} does not follow from {old[:8]}, which runs now: history was rewritten, or that one is older",
            hint=f"if that is meant to be: git -C {folder} reset --hard {new[:8]}",
        )
    before, _ = works(calling)
    _git(folder, "merge", "--quiet", "--ff-only", new)
    _compile(folder)
    if problem := _adapt(folder) or _judge(calling, before):
        _git(folder, "reset", "--quiet", "--hard", old)
        _compile(folder)
        _adapt(folder)
        raise PikuError(f"{new[:8]} does not work here: went back to {old[:8]}", detail=_evidence(problem))
    _settle(calling, output)
    output.step(f"piku was {piku.__version__} ({old[:8]}), and is {_version(calling)} ({new[:8]}) now")


def _fetched(folder: Path, wanted: str | None) -> str:
    """The commit to go to: what is asked for, else what the branch follows; raises PikuError."""
    branch = _git(folder, "branch", "--show-current")
    remote = _git(folder, "config", "--default", "origin", f"branch.{branch}.remote") if branch else "origin"
    try:
        _git(folder, "fetch", "--quiet", "--tags", remote)
    except PikuError as error:
        where = _git(folder, "remote", "get-url", remote, check=False) or "nowhere"
        raise PikuError(f"nothing can be fetched from {where}", detail=error.detail) from None
    names = [f"{remote}/{wanted}", wanted] if wanted else ["@{upstream}", f"{remote}/{branch}"]
    for name in names:
        if found := _git(folder, "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}", check=False):
            return found
    if wanted:
        raise PikuError(f"{remote} has no branch, tag or commit {wanted[:60]!r}")
    raise PikuError("this checkout follows no branch", hint="say which version: piku update --to TAG")


def _git(folder: Path, *words: str, check: bool = True) -> str:
    return programs.run(["git", *_trust(folder), "-C", str(folder), *words], check=check).strip()


def _trust(folder: Path) -> list[str]:
    return ["-c", f"safe.directory={folder}", "-c", "advice.detachedHead=false"]


def _compile(folder: Path) -> None:
    programs.run([sys.executable, "-m", "compileall", "-q", str(folder / "src" / "piku")], check=False)


def _adapt(folder: Path) -> str:
    """On a server that install.sh made, bring the packages and services of this version; what went wrong with that."""
    command, script = command_of(effects.read(UNIT)), folder / "contrib" / "checkout.sh"
    ours = bool(command) and Path(command).resolve() == folder / "bin" / "piku"
    if not ours or os.getuid() != 0 or not script.exists():
        return ""
    try:
        programs.run(["sh", str(script), command])
    except programs.ProgramFailed as error:
        return error.output.strip() or str(error)
    return ""


def command_of(unit: str) -> str:
    """The program that a service starts."""
    found = re.search(r"^ExecStart=(\S+)", unit, re.MULTILINE)
    return found[1] if found else ""


def _version(calling: Sequence[str]) -> str:
    return programs.run([*calling, "--version"], cwd=Path("/"), check=False).strip().removeprefix("piku ")


def _settle(calling: Sequence[str], output: Output) -> None:
    """Have the new version write its files anew, and nginx read them."""
    programs.run([*calling, "setup"], cwd=Path("/"), check=False)
    if Path("/run/systemd/system").is_dir() and programs.which("systemctl"):
        programs.run(["systemctl", "try-reload-or-restart", "piku-nginx.service"], check=False)
    output.detail("the apps have not noticed; what runs them is new with: systemctl restart piku-emperor")


# --- the package -----------------------------------------------------------------------------------


def _package(url: str, calling: Sequence[str], output: Output) -> None:
    if not url:
        raise PikuError(
            f"nobody has said where new packages are: {RELEASE_URL} is not set in {SETTINGS}",
            hint="get the newer package, and: apt install ./piku_*.deb; or if apt knows it: apt install --only-upgrade piku",
        )
    output.step(f"Fetching {url}")
    content = _fetch(url)
    _check_sum(url, content)
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with effects.temporary_folder(KEPT.parent, "update") as place:
        file = Path(place, "piku.deb")
        file.write_bytes(content)
        version = _inspect(file)
        if (version, "installed") == (old := _state()):
            output.detail(f"piku {version} is the newest")
            return
        trial = _unpacked(file, Path(place, "trial"))
        before, _ = works(calling)
        _try(trial, version, before)
        # As dpkg would have it, and nobody's changes: see repack.
        repack.package("piku", KEPT, {str(SETTINGS): _SHARED / "piku.default"})
        if problem := _install(file) or _judge(calling, before):
            raise _taken_back(version, old, problem)
    output.step(f"piku was {old[0]}, and is {version} now; the apps have not noticed")


def _state() -> tuple[str, str]:
    """The version of the package that is here, and how far it is installed."""
    version, state = programs.run(
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
            f"what {url} gave is not what {url}.sha256 says", hint="try again later; nothing was changed"
        )


def _inspect(file: Path) -> str:
    """The version of a package of piku that is not older than this one."""
    try:
        name, version = programs.run(
            ["dpkg-deb", "-W", "--showformat=${Package} ${Version}", str(file)]
        ).split()
    except (programs.ProgramFailed, ValueError):
        raise PikuError("what was fetched is no Debian package") from None
    if name != "piku":
        raise PikuError(f"what was fetched is the package {name!r}, not piku")
    if not programs.succeeds(["dpkg", "--compare-versions", version, "ge", piku.__version__]):
        raise PikuError(f"what was fetched is older ({version}) than what is here ({piku.__version__})")
    return version


def _unpacked(file: Path, place: Path) -> Path:
    programs.run(["dpkg-deb", "-x", str(file), str(place)])
    for folder in (place.parent, place, *place.rglob("*")):
        folder.chmod(folder.stat().st_mode | (0o755 if folder.is_dir() else 0o644))
    return place


def _try(trial: Path, version: str, before: bool) -> None:
    """Have the new version look at this server before it is installed; raises PikuError."""
    start = f"import sys; sys.path[:0] = [{str(trial / 'usr/share/piku')!r}]; from piku.__main__ import main; main()"
    python = ["/usr/bin/python3", "-IB", "-c", start]
    account = ["setpriv", "--reuid=piku", "--regid=piku", "--init-groups", "--"]
    home = str(Path("~piku").expanduser())
    env = {**programs.environment(), "HOME": home, "PIKU_ROOT": f"{home}/.piku"}
    fine, said = works([*account, *python], env)
    if not fine and (before or "Traceback" in said):
        raise PikuError(f"{version} would not work here: it was not installed", detail=_evidence(said))


def _install(file: Path) -> str:
    """Have apt install the package; what it says when it cannot, or nothing."""
    # Nobody can be asked about /etc/default/piku: what the person has made of it stays.
    quietly = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "--yes", "--quiet",
               "--allow-downgrades", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300",
               "-o", "DPkg::Options::=--force-confdef", "-o", "DPkg::Options::=--force-confold"]  # fmt: skip
    try:
        programs.run([*quietly, str(file)])
    except programs.ProgramFailed as error:
        return error.output.strip() or str(error)
    return ""


def _taken_back(version: str, old: tuple[str, str], problem: str) -> PikuError:
    """Go back to the version that was here, and tell what is here now."""
    if _state() == old:
        return PikuError(f"{version} cannot be installed: {old[0]} stays", detail=_evidence(problem))
    failed = _install(KEPT)
    there, state = _state()
    if not failed and there == old[0]:
        return PikuError(f"{version} does not work here: went back to {there}", detail=_evidence(problem))
    return PikuError(
        f"{version} does not work here, and going back failed: {there} is here ({state})",
        hint=f"try again: apt install --allow-downgrades {KEPT}",
        detail=_evidence(f"{problem}\n{failed}"),
    )
