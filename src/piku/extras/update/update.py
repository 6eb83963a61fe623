"""`piku update`: a newer piku, brought the way this one was installed, and taken back if it does not work here.

The apps go on meanwhile: nothing of nginx, of the emperor or of theirs is replaced.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import piku
from piku import files, subprocesses
from piku.errors import PikuError
from piku.extras.update import selfcheck, update_deb
from piku.output import Output

UNIT = Path(
    "/etc/systemd/system/piku-emperor.service"
)  # where install.sh puts it, and the package does not
_SHARED = Path("/usr/share/piku")


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
        update_deb.update(_SHARED, calling, output)
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
    if not subprocesses.succeeds(
        ["git", *_trust(folder), "-C", str(folder), "merge-base", "--is-ancestor", old, new]
    ):
        raise PikuError(
            f"{new[:8]} does not follow from {old[:8]}, which runs now: history was rewritten, or that one is older",
            hint=f"if that is meant to be: git -C {folder} reset --hard {new[:8]}",
        )
    before, _ = selfcheck.works(calling)
    _git(folder, "merge", "--quiet", "--ff-only", new)
    _compile(folder)
    if problem := _adapt(folder) or selfcheck.judge(calling, before):
        _git(folder, "reset", "--quiet", "--hard", old)
        _compile(folder)
        _adapt(folder)
        raise PikuError(
            f"{new[:8]} does not work here: went back to {old[:8]}",
            detail=selfcheck.evidence(problem),
        )
    _settle(calling, output)
    output.step(
        f"piku was {piku.__version__} ({old[:8]}), and is {_version(calling)} ({new[:8]}) now"
    )


def _fetched(folder: Path, wanted: str | None) -> str:
    """The commit to go to: what is asked for, else what the branch follows; raises PikuError."""
    branch = _git(folder, "branch", "--show-current")
    remote = (
        _git(folder, "config", "--default", "origin", f"branch.{branch}.remote")
        if branch
        else "origin"
    )
    try:
        _git(folder, "fetch", "--quiet", "--tags", remote)
    except PikuError as error:
        where = _git(folder, "remote", "get-url", remote, check=False) or "nowhere"
        raise PikuError(f"nothing can be fetched from {where}", detail=error.detail) from None
    names = [f"{remote}/{wanted}", wanted] if wanted else ["@{upstream}", f"{remote}/{branch}"]
    for name in names:
        if found := _git(
            folder, "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}", check=False
        ):
            return found
    if wanted:
        raise PikuError(f"{remote} has no branch, tag or commit {wanted[:60]!r}")
    raise PikuError(
        "this checkout follows no branch", hint="say which version: piku update --to TAG"
    )


def _git(folder: Path, *words: str, check: bool = True) -> str:
    return subprocesses.run(
        ["git", *_trust(folder), "-C", str(folder), *words], check=check
    ).strip()


def _trust(folder: Path) -> list[str]:
    return ["-c", f"safe.directory={folder}", "-c", "advice.detachedHead=false"]


def _compile(folder: Path) -> None:
    subprocesses.run(
        [sys.executable, "-m", "compileall", "-q", str(folder / "src" / "piku")], check=False
    )


def _adapt(folder: Path) -> str:
    """On a server that install.sh made, bring the packages and services of this version; what went wrong with that."""
    command, script = command_of(files.read(UNIT)), folder / "contrib" / "checkout.sh"
    ours = bool(command) and Path(command).resolve() == folder / "bin" / "piku"
    if not ours or os.getuid() != 0 or not script.exists():
        return ""
    try:
        subprocesses.run(["sh", str(script), command])
    except subprocesses.ProgramFailed as error:
        return error.output.strip() or str(error)
    return ""


def command_of(unit: str) -> str:
    """The program that a service starts."""
    found = re.search(r"^ExecStart=(\S+)", unit, re.MULTILINE)
    return found[1] if found else ""


def _version(calling: Sequence[str]) -> str:
    return (
        subprocesses.run([*calling, "--version"], cwd=Path("/"), check=False)
        .strip()
        .removeprefix("piku ")
    )


def _settle(calling: Sequence[str], output: Output) -> None:
    """Have the new version write its files anew, and nginx read them."""
    subprocesses.run([*calling, "setup"], cwd=Path("/"), check=False)
    if Path("/run/systemd/system").is_dir() and subprocesses.which("systemctl"):
        subprocesses.run(["systemctl", "try-reload-or-restart", "piku-nginx.service"], check=False)
    output.detail(
        "the apps have not noticed; what runs them is new with: systemctl restart piku-emperor"
    )
