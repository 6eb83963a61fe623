"""What the kernel says of running processes (proc(5))."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from piku import effects


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    try:
        return [int(child) for child in effects.read(Path(f"/proc/{pid}/task/{pid}/children")).split()]
    except OSError:
        return []


def descendants(pid: int) -> Iterator[int]:
    """Every process below this one."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def with_variables(wanted: Mapping[str, str]) -> list[int]:
    """The processes that were started with all of these variables."""
    words = {f"{name}={value}".encode() for name, value in wanted.items()}
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it is gone, or somebody else's
            if words.issubset((entry / "environ").read_bytes().split(b"\0")):
                found.append(int(entry.name))
    return found


def is_running(pid: int) -> bool:
    """Whether the process exists and has not ended: one that its parent has yet to notice has."""
    try:
        state = effects.read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    except OSError:
        return False
    return bool(state) and state[0] not in "ZX"


def command(pid: int) -> str:
    """The command line, or nothing when the process is gone."""
    try:
        return effects.read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ").strip()
    except OSError:
        return ""


def memory(pid: int) -> int:
    """Proportional set size in bytes: shared pages count by the share."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", effects.read(Path(f"/proc/{pid}/smaps_rollup")), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def available_memory() -> int:
    """Bytes that programs could still use without swapping."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", effects.read(Path("/proc/meminfo")), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
