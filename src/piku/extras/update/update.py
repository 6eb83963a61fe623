"""How this piku was installed, and updating a checkout by `git pull`."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import piku
from piku import files, subprocesses
from piku.errors import PikuError
from piku.extras.update import package, selfcheck
from piku.output import Output

UNIT = Path(
    "/etc/systemd/system/piku-emperor.service"
)  # install.sh's; the package has it elsewhere


def update(wanted: str | None, command: Sequence[str], output: Output) -> None:
    """Install a newer version; `wanted` is a branch or tag of a checkout. Raises PikuError."""
    place = Path(piku.__file__).resolve().parent
    is_package, folder = place.is_relative_to("/usr/share/piku"), place.parents[1]
    # What pipx installed, or one file, may lie in somebody's repository: that is not piku's.
    is_checkout = place.parent.name == "src" and (folder / ".git").exists()
    output.step(f"piku {piku.__version__} in {place}")
    if not (is_package or is_checkout):
        hint = "update it the way it was installed, such as: pipx upgrade piku"
        raise PikuError(f"{place} is neither a checkout of piku nor its package", hint=hint)
    if not os.access(place, os.W_OK):
        hint = "update it on the server: sudo piku update"
        raise PikuError(f"{place} belongs to another user", hint=hint)
    if is_checkout:
        _checkout(folder, wanted, command, output)
    elif wanted is not None:
        raise PikuError("--to is for a piku that runs from a checkout", code=2)
    else:
        package.update(command, output)


def _checkout(folder: Path, wanted: str | None, command: Sequence[str], output: Output) -> None:
    if _git(folder, "status", "--porcelain", "--untracked-files=no"):
        hint = f"see them: git -C {folder} diff; undo them: git -C {folder} checkout ."
        raise PikuError(f"files of {folder} were changed by hand", hint=hint)
    if wanted is None and not _git(folder, "branch", "--show-current"):
        hint = "name a newer one: piku update --to TAG"
        raise PikuError(f"{folder} is at a tag, which has no newer version", hint=hint)
    os.umask(0o022)  # the user piku reads what git writes
    old, before = _git(folder, "rev-parse", "HEAD"), selfcheck.examine(command)
    _git(folder, "pull", "--quiet", "--ff-only", *(["origin", wanted] if wanted else []))
    new = _git(folder, "rev-parse", "HEAD")
    if new == old:
        output.detail(f"{old[:8]} is the newest")
        return
    if faults := _adapt(folder) or selfcheck.new_faults(before, selfcheck.examine(command)):
        _git(folder, "reset", "--quiet", "--hard", old)
        _adapt(folder)
        raise PikuError(f"{new[:8]} does not work here: went back to {old[:8]}", detail=faults)
    # The new version writes its files, and nginx reads them.
    subprocesses.run([*command, "setup"], cwd=Path("/"), check=False)
    if Path("/run/systemd/system").is_dir():
        subprocesses.run(["systemctl", "try-reload-or-restart", "piku-nginx"], check=False)
    output.step(f"piku was {old[:8]} and is now {new[:8]}; the apps kept running")


def _git(folder: Path, *words: str) -> str:
    trusted = ["-c", f"safe.directory={folder}"]
    return subprocesses.run(["git", *trusted, "-C", str(folder), *words]).strip()


def _adapt(folder: Path) -> tuple[str, ...]:
    """Compile it, and install what it needs if install.sh made this server; returns what failed."""
    subprocesses.run([sys.executable, "-m", "compileall", "-q", str(folder / "src")], check=False)
    command = re.search(r"^ExecStart=(\S+)", files.read(UNIT), re.MULTILINE)
    if os.getuid() or not command or Path(command[1]).resolve() != folder / "bin" / "piku":
        return ()
    try:
        subprocesses.run(["sh", str(folder / "contrib" / "checkout.sh"), command[1]])
    except subprocesses.ProgramFailed as error:
        return error.detail
    return ()
