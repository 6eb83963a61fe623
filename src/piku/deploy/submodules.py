"""A release's submodules, by way of mirrors that outlive releases (gitsubmodules(7))."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from piku import files, subprocesses
from piku.errors import PikuError


def check_out(folder: Path, mirrors: Path) -> None:
    """Check out the submodules of a work tree, and theirs; the network is used only for new commits."""
    if not (folder / ".gitmodules").exists():
        return
    _git(folder, "submodule", "--quiet", "init")
    for name, path, url in _listed(folder):
        mirror = mirrors / hashlib.sha256(url.encode()).hexdigest()[:16]
        commit = _git(folder, "rev-parse", f"HEAD:{path}").strip()
        _update_mirror(mirror, url, commit)
        _git(folder, "config", f"submodule.{name}.url", str(mirror))
        # The mirror is ours: that it is a folder is no reason for git to refuse it.
        _git(
            folder, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--", path
        )
        check_out(folder / path, mirrors)


def _listed(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Name, path and address of each submodule."""
    listing = _git(
        folder, "config", "-z", "-f", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$"
    )
    for entry in filter(None, listing.split("\0")):
        key, _, path = entry.partition("\n")
        name = key.removeprefix("submodule.").removesuffix(".path")
        yield name, path, _git(folder, "config", "--get", f"submodule.{name}.url").strip()


def _update_mirror(mirror: Path, url: str, commit: str) -> None:
    if mirror.is_dir() and subprocesses.succeeds(
        ["git", "-C", str(mirror), "cat-file", "-e", f"{commit}^{{commit}}"]
    ):
        return
    # As for `git submodule update`: an address that a repository names may not be a folder of this server.
    env = {**subprocesses.environment(), "GIT_TERMINAL_PROMPT": "0", "GIT_PROTOCOL_FROM_USER": "0"}
    try:
        if mirror.is_dir():
            subprocesses.run(["git", "-C", str(mirror), "fetch", "--quiet", "--prune"], env=env)
            return
        temporary = mirror.with_suffix(".tmp")
        files.remove(temporary)
        mirror.parent.mkdir(parents=True, exist_ok=True)
        subprocesses.run(
            ["git", "clone", "--quiet", "--mirror", "--", url, str(temporary)], env=env
        )
        temporary.rename(mirror)
    except subprocesses.ProgramFailed as error:
        raise PikuError(
            f"a submodule could not be fetched by this server: {url}",
            detail=error.detail,
            hint="the server needs to reach that address; a private one needs a key of its own in ~/.ssh",
        ) from None


def _git(folder: Path, *args: str) -> str:
    return subprocesses.run(["git", "-C", str(folder), *args])
