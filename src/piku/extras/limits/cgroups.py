"""The cgroup that piku was given, of version 2 (cgroups(7)), and the groups of apps in it.

A link, `uwsgi/cgroup`, leads to it. In there each start of an app has a group, and in that one for
each of its processes.
"""

import contextlib
import os
import re
from pathlib import Path

from piku import files
from piku.paths import SEPARATOR, AppName, Paths

_CONTROLLERS = ("memory", "cpu", "pids")
# Where the platform itself goes: no group with limited ones in it may have processes.
_LEAF = "platform"
_REASON = "uwsgi/cgroup.missing"


def place(root: Path) -> Path:
    """The link to piku's cgroup; not there when piku has none."""
    return root / "uwsgi" / "cgroup"


def missing(root: Path) -> str:
    """Why there is no cgroup for limits, or ""."""
    unknown = "piku has not looked for cgroups yet: start it again"
    return "" if place(root).is_dir() else files.read(root / _REASON) or unknown


def prepare(paths: Paths) -> None:
    """Divide the cgroup that this process was started in, if it is piku's, and move into a leaf."""
    own, mounts = (files.read(Path("/proc/self", name)) for name in ("cgroup", "mountinfo"))
    group = located(own, mounts)
    if group is not None and group.name == _LEAF:
        group = group.parent  # started there, as by DelegateSubgroup= of systemd
    reason = _divide(group) if group is not None else "this system has no cgroups of version 2"
    files.write(paths.root / _REASON, reason)
    files.remove(place(paths.root))
    if not reason:
        files.link(str(group), place(paths.root))


def located(own: str, mounts: str) -> Path | None:
    """The group of a process, of whose /proc/PID these are `cgroup` and `mountinfo`. Pure."""
    path = next((line[3:] for line in own.splitlines() if line.startswith("0::")), "")
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        root, mounted = left.split()[3:5]
        inside = path == root or path.startswith(f"{root.rstrip('/')}/")
        if right.startswith("cgroup2 ") and inside:
            return Path(mounted, path[len(root) :].lstrip("/"))
    return None


def _divide(group: Path) -> str:
    """Have groups in this one get every controller; returns why that cannot be."""
    if lacking := {*_CONTROLLERS} - {*files.read(group / "cgroup.controllers").split()}:
        return f"the cgroup that piku was started in lacks: {', '.join(sorted(lacking))}"
    if not (os.access(group, os.W_OK) and os.access(group / "cgroup.procs", os.W_OK)):
        return f"piku was started in a cgroup that is not its own ({group})"
    if set(files.read(group / "cgroup.procs").split()) - {str(os.getpid())}:
        return f"other programs run in the cgroup that piku was started in ({group})"
    try:
        (group / _LEAF).mkdir(exist_ok=True)
        (group / _LEAF / "cgroup.procs").write_text("0")
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in _CONTROLLERS))
    except OSError as error:
        return f"the kernel does not let {group} be divided: {error.strerror}"
    return ""


def remove_empty(root: Path, app: AppName, keep: str = "") -> None:
    """Remove the groups of an app in which nothing runs, except `keep`; the kernel keeps others."""
    for folder in place(root).glob(f"app-{app}{SEPARATOR}*"):
        for group in (*folder.glob("*/"), folder) if folder.name != keep else ():
            with contextlib.suppress(OSError):
                group.rmdir()


def number(file: Path, name: str = "") -> int:
    """A file's number, or the one that follows this name in it; 0 if there is none."""
    found = re.search(rf"^{name} ?([0-9]+)$", files.read(file), re.MULTILINE)
    return int(found[1]) if found else 0
