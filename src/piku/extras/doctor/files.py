"""The folders below the piku root: whether they are there, whose they are, and who may read what is secret."""

from __future__ import annotations

import os
import shlex
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from piku.extras.doctor.findings import Finding, ok, problem, warning
from piku.extras.doctor.scene import Scene, user
from piku.paths import SEPARATOR

# More files than this are not looked at: what went wrong did so with many.
_MOST = 50_000
# Apps' own, which may hold whatever they like.
_APPS_OWN = ("data", "cache")


def folders(scene: Scene) -> Iterator[Finding]:
    """Whether the server is set up, and its folders can be used."""
    root = scene.paths.root
    if not root.is_dir():
        yield problem(f"this server is not set up: there is no folder {root}", "piku setup")
        return
    wanted = [root, *(root / name for name in scene.paths.FOLDERS)]
    missing = [path.name for path in wanted if not path.is_dir()]
    if missing:
        yield problem(f"{root} lacks the folders {', '.join(missing)}", "piku setup")
    closed = [
        path
        for path in wanted
        if path.is_dir() and not os.access(path, os.R_OK | os.W_OK | os.X_OK)
    ]
    for path in closed:
        if path.stat().st_uid == os.getuid():
            yield problem(
                f"{path} cannot be written by its owner", f"chmod u+rwx {shlex.quote(str(path))}"
            )
        else:
            yield problem(f"{path} belongs to another user", _chown(root))
    for path in wanted:
        if path.is_dir() and path.stat().st_mode & stat.S_IWOTH:
            yield problem(
                f"{path} can be written by everybody", f"chmod o-w {shlex.quote(str(path))}"
            )
    if not missing and not closed:
        yield ok(f"{root} has all its folders")


def _chown(root: Path) -> str:
    return f"sudo chown -R {user()}: {shlex.quote(str(root))}"


def ownership(scene: Scene) -> Iterator[Finding]:
    """Files of another user, as a command given as root leaves them."""
    root = scene.paths.root
    foreign, seen = [], 0
    for path, found in _below(root):
        seen += 1
        if found.st_uid != os.getuid():
            foreign.append(path)
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        what = f"{foreign[0]}{more} below the piku root belong to another user, so deploys may fail"
        yield problem(what, _chown(root), detail=tuple(foreign[1:6]))
    else:
        yield ok(f"all files belong to {user()} ({seen} looked at)")


def _below(root: Path) -> Iterator[tuple[str, os.stat_result]]:
    """What is below the root, the upper folders first, as far as it is worth it."""
    waiting, seen = deque([root]), 0
    while waiting and seen < _MOST:
        folder = waiting.popleft()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    seen += 1
                    yield entry.path, entry.stat(follow_symlinks=False)
                    deep = folder.parent == root and folder.name in _APPS_OWN
                    if entry.is_dir(follow_symlinks=False) and not deep:
                        waiting.append(Path(entry.path))
        except OSError:
            continue  # it is gone, or closed to us, which another check tells


def secrets(scene: Scene) -> Iterator[Finding]:
    """Files with passwords and keys that others could read."""
    paths = scene.paths
    places = [
        paths.server_env,
        *(paths.root / "envs").glob("*/*ENV"),
        *paths.nginx.glob(f"*{SEPARATOR}*.pem"),
    ]
    if _is_closed(paths.root) or _is_closed(paths.home):
        yield ok("nobody else may enter the piku root")
        return
    for path in places:
        if path.is_file() and path.stat().st_mode & 0o077 and not _is_closed(path.parent):
            yield warning(
                f"{path}, which may hold secrets, can be read by others", f"chmod 600 {path}"
            )


def _is_closed(folder: Path) -> bool:
    """Whether other users may not enter it."""
    return not folder.stat().st_mode & stat.S_IXOTH
