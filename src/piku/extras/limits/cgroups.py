"""The cgroups that piku was given, of version 2 or 1 (cgroups(7)), and what the kernel says of those in them.

A folder of links, one for each controller that limits can rely on, tells everybody where they are; the
platform makes it anew at each start. Below, each app has a group, and in it one for each of its processes.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from piku import files
from piku.paths import SEPARATOR, AppName

CONTROLLERS = ("memory", "cpu", "pids")
# Where the platform itself goes: version 2 allows no process in a group that has limited ones below.
LEAF = "platform"
_GROUP = re.compile(r"app-(?P<app>[A-Za-z0-9][A-Za-z0-9._-]*)@(?P<number>[0-9]+)")


# --- finding them, when the platform starts ------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Given:
    """What limits can rely on: the folder of each controller, or why there is none."""

    folders: Mapping[str, Path]
    missing: Mapping[str, str]


def located(own: str, mounts: str) -> dict[str, Path]:
    """Where a process is: by controller, and that of version 2 under "". Pure.

    `own` is its /proc/PID/cgroup, `mounts` its /proc/PID/mountinfo.
    """
    mounted = _mounted(mounts)
    found: dict[str, Path] = {}
    for line in own.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            top, root = mounted.get(name, ("", ""))
            inside = path == root or path.startswith(f"{root.rstrip('/')}/")
            if top and inside and not name.startswith("name="):
                found[name] = Path(top, path[len(root) :].lstrip("/"))
    return found


def _mounted(mounts: str) -> dict[str, tuple[str, str]]:
    """By controller, where its hierarchy is mounted, and which part of it."""
    found: dict[str, tuple[str, str]] = {}
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        root, place = left.split()[3:5]
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup2":
            found.setdefault("", (place, root))
        elif kind == "cgroup":
            for option in options.split(","):
                found.setdefault(option, (place, root))
    return found


def take(places: Mapping[str, Path]) -> Given:
    """Make what was delegated ready for use, given where this process is.

    In version 2 it moves into a leaf, and whatever it starts from then on is there as well.
    """
    folders: dict[str, Path] = {}
    missing: dict[str, str] = {}
    unified = places.get("")
    if unified is not None and unified.name == LEAF and _is_ours(unified.parent):
        unified = unified.parent  # started there, as by DelegateSubgroup= of systemd
    offered = files.read(unified / "cgroup.controllers").split() if unified is not None else []
    for name in CONTROLLERS:
        place = unified if name in offered else places.get(name)
        if place is None:
            missing[name] = f"the cgroup that piku was started in has no {name!r} controller"
        elif not _is_ours(place):
            missing[name] = f"piku was started in a cgroup that is not its own ({place})"
        elif place == unified and (problem := _enable(place, name)):
            missing[name] = problem
        else:
            folders[name] = place
    return Given(folders=folders, missing=missing)


def _is_ours(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def _enable(folder: Path, controller: str) -> str:
    """Have groups below have this controller; returns what is in the way."""
    others = set(files.read(folder / "cgroup.procs").split()) - {str(os.getpid())}
    if others:
        return f"other programs run in the cgroup that piku was started in ({folder})"
    try:
        (folder / LEAF).mkdir(exist_ok=True)
        (folder / LEAF / "cgroup.procs").write_text("0")
        (folder / "cgroup.subtree_control").write_text(f"+{controller}")
    except OSError as error:
        return f"the kernel does not let {folder} be divided: {error.strerror}"
    return ""


def publish(place: Path, given: Given) -> None:
    """Write down what there is, for the processes that are to be limited and for who asks."""
    place.mkdir(exist_ok=True)
    for name in CONTROLLERS:
        if name in given.folders:
            files.link(given.folders[name], place / name)
        else:
            files.remove(place / name)
    files.write_json(place / "missing.json", dict(given.missing))


def missing(place: Path) -> dict[str, str]:
    """The controllers that limits cannot rely on, each with the reason."""
    known = files.read_json(place / "missing.json") or {}
    none = "piku has not looked for cgroups yet: start it again"
    return {name: known.get(name, none) for name in CONTROLLERS if not (place / name).is_dir()}


# --- the groups of apps --------------------------------------------------------------------------


def group(app: AppName, number: int) -> str:
    """The name of the group that an app's processes have since its activation of that number."""
    return f"app-{app}{SEPARATOR}{number}"


def groups(place: Path, app: AppName | None = None) -> Iterator[Path]:
    """The groups of an app, or of all, in every hierarchy."""
    for top in sorted(
        {(place / name).resolve() for name in CONTROLLERS if (place / name).is_dir()}
    ):
        for entry in sorted(top.iterdir()):
            found = _GROUP.fullmatch(entry.name)
            if found and app in (None, found["app"]):
                yield entry


def remove_empty(folder: Path, spare: Container[str] | None = None) -> None:
    """Remove the groups of single processes that have none, and the app's group around them.

    With `spare` the app goes on: its group stays, and what it names in there. The kernel refuses to
    remove a group in which anything runs.
    """
    with contextlib.suppress(OSError):  # it is gone by now
        for inner in [entry for entry in folder.iterdir() if entry.is_dir()]:
            if spare is None or inner.name not in spare:
                with contextlib.suppress(OSError):
                    inner.rmdir()
        if spare is None:
            folder.rmdir()


def memory(folder: Path) -> int | None:
    """Bytes that a group takes, without what the kernel would give back at once; None if it is not there."""
    for used, given_back in (
        ("memory.current", "inactive_file"),
        ("memory.usage_in_bytes", "total_inactive_file"),
    ):
        if text := files.read(folder / used):
            return max(0, int(text) - (counted(folder / "memory.stat", given_back) or 0))
    return None


def tasks(folder: Path) -> int | None:
    """The processes and threads of a group, or None if it is not there."""
    text = files.read(folder / "pids.current")
    return int(text) if text else None


def killed(folder: Path) -> int:
    """How many processes of the group of one process were killed for want of memory."""
    return counted(folder / "memory.events", "oom_kill") or counted(
        folder / "memory.oom_control", "oom_kill"
    )


def counted(file: Path, name: str) -> int:
    """A number of a file that has one with its name on each line; 0 if it has none."""
    found = re.search(rf"^{name} ([0-9]+)$", files.read(file), re.MULTILINE)
    return int(found[1]) if found else 0
