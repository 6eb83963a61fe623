"""A release has the content of its LFS files, or is refused before anything is built."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.extras.lfs import pointers, store
from piku.paths import AppPaths


def check(deployment: Deployment) -> Iterable[str]:
    """Raise PikuError when the commit has pointers whose content never came here."""
    app, release = deployment.app, deployment.release
    if not release.has_own_code:
        return ()  # it is checked out already
    found = pointers.of_commit(app.repo, release.commit)
    missing = [path for path, pointer in found.items() if not store.has(app, pointer)]
    if missing:
        more = [f"… and {len(missing) - 3} more"] if len(missing) > 3 else []
        raise PikuError(
            "this commit has Git LFS pointers whose content is not on this server",
            detail=(*missing[:3], *more),
            hint="where the files are whole, with git-lfs installed: git lfs push --all piku\n"
            "then push again; 'piku' is the name of the git remote",
        )
    if not found:
        return ()
    size = sum(pointer.size for pointer in found.values()) / 1e6
    deployment.output.detail(f"Git LFS: {size:.1f} MB in {len(found)} file(s)")
    return ()


def fill_in(app: AppPaths, folder: Path, commit: str) -> None:
    """Put the content in the place of the pointers in a new checkout."""
    for path, pointer in pointers.of_commit(app.repo, commit).items():
        target = folder / path
        if pointer.size:
            shutil.copyfile(store.place(app, pointer.oid), target, follow_symlinks=False)
        else:
            target.write_bytes(b"")
