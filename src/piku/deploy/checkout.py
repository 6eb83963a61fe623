"""The folder of a release: the commit checked out, and what the app wrote into it."""

import json
import os
import shutil
from pathlib import Path

from piku import files, procfs, records, subprocesses
from piku.errors import PikuError
from piku.extra import hooks
from piku.paths import TEMPLATES, AppPaths

# What programs write and can make again.
_CACHES = frozenset(
    ("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".cache", ".cpcache", ".git",
     ".gradle", "node_modules", ".venv")
)  # fmt: skip
_TRANSIENT = (".pyc", ".pyo", ".pid", ".sock", ".swp")


def create(app: AppPaths, checkout: str, commit: str) -> None:
    """Check the commit out into a folder that appears whole or not at all."""
    place = app.releases / checkout
    files.remove(place)
    # A folder of this process's own: git may outlive a deploy that is killed.
    with files.temporary_folder(app.releases, "checkout") as folder:
        temporary = Path(folder, checkout)
        _clone(app.repo, temporary / ".git")
        switch = ("checkout", "--quiet", "--force", "--detach", commit)
        subprocesses.run(["git", "-C", str(temporary), *switch])
        for checked_out in hooks("checked_out"):
            checked_out(app, temporary, commit)
        os.rename(temporary, place)


def _clone(repository: Path, place: Path) -> None:
    """What `git clone --shared --no-checkout` makes, also of a shallow repository, in one process
    instead of three. The objects stay in the app's repository; a reference keeps them alive."""
    refs = subprocesses.run(
        ["git", "-C", str(repository), "for-each-ref", "--format=%(objectname) %(refname)",
         "refs/heads", "refs/tags"]
    ).replace(" refs/heads/", " refs/remotes/origin/")  # fmt: skip
    origin = str(repository).replace("\\", r"\\").replace('"', r"\"")
    (place / "refs").mkdir(parents=True)
    (place / "HEAD").write_text("ref: refs/heads/main\n")
    files.write(place / "packed-refs", refs)
    files.write(place / "objects/info/alternates", f"{repository}/objects\n")
    config = (TEMPLATES / "checkout.config").read_text()
    (place / "config").write_text(f'{config}[remote "origin"]\n\turl = "{origin}"\n')
    if (shallow := repository / "shallow").exists():
        shutil.copy(shallow, place)


# --- files that the app wrote --------------------------------------------------------------------


def mark_built(app: AppPaths, checkout: str) -> None:
    """Record that the checkout is built, and which files the build left in it."""
    folder = app.code(checkout)
    state = {path: _state(folder / path) for path in _changed(folder)}
    files.write(app.build_marker(checkout), json.dumps(state))


def untracked_files(app: AppPaths, checkout: str) -> list[str]:
    """The files that the app wrote into its checkout since the build; what a link in it leads to in
    the app's data stays there."""
    built = records.load(app.build_marker(checkout), dict[str, list[int]])
    folder = app.code(checkout)
    if built is None or not folder.is_dir():
        return []
    data = app.data.resolve()
    return [
        path
        for path in _changed(folder)
        if (state := _state(folder / path))
        and built.get(path) != state
        and not (folder / path).resolve().is_relative_to(data)
    ]


def _changed(folder: Path) -> list[str]:
    """Files that git does not track, including ignored ones, and tracked ones that were changed; of
    a submodule all, for a build may have changed what git would run in it."""
    git, own = ["git", "-C", str(folder)], ("--ignored=traditional", "--ignore-submodules=all")
    status = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", *own)
    paths = [entry[3:] for entry in subprocesses.run([*git, *status]).split("\0")]
    known = (folder / ".gitmodules").exists() and subprocesses.run([*git, "ls-files", "-sz"])
    entries = known.split("\0") if known else ()
    if modules := ["./" + one.partition("\t")[2] for one in entries if one.startswith("160000 ")]:
        find = ["find", *modules, "-not", "-type", "d", "-print0"]
        paths += [path[2:] for path in subprocesses.run(find, cwd=folder, check=False).split("\0")]
    return [
        path
        for path in filter(None, paths)
        if not _CACHES.intersection(path.split("/")) and not path.endswith(_TRANSIENT)
    ]


def _state(path: Path) -> list[int]:
    try:
        found = path.lstat()
    except OSError:
        return []
    return [found.st_mtime_ns, found.st_size]


def check_untracked(app: AppPaths, live_checkout: str) -> None:
    """Raise PikuError when the next release would not have files that the live one wrote."""
    names = untracked_files(app, live_checkout)
    if not names:
        return
    more = [f"… and {len(names) - 10} more"] if len(names) > 10 else []
    own = [name.removeprefix(f"{live_checkout.partition('/')[2]}/") for name in names]
    top = sorted({name.split("/")[0] if len(own) > 3 else name.rstrip("/") for name in own})[:4]
    raise PikuError(
        f"{app.name} wrote files beside its code, which the next release would not have",
        detail=(*names[:10], *more),
        hint=f"keep them for every release: piku config:set {app.name} PIKU_PERSIST={','.join(top)}"
        f" — or leave them behind: piku deploy {app.name} --allow-untracked",
    )


def remove_stale_locks(repository: Path) -> None:
    """Remove the lock files that a killed git left, unless a program is at work in the repository:
    whatever changes it runs in its folder, be it a push, its hook or piku's own `git -C`."""
    # References are few; for what is below `objects`, git does not wait.
    found = [*repository.glob("*.lock"), *(repository / "refs").rglob("*.lock")]
    if found and not any(procfs.working_in(repository)):
        files.discard(found)
