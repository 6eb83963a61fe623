"""What the kernel says of running processes (proc(5))."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from piku import effects

# The variable that marks what belongs to a process of an app: its vassal's name.
MARK = "PIKU_PROCESS"


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


def marked(root: Path) -> dict[int, str]:
    """The processes of this root's apps that have the mark, and with what it says.

    Another root of the same user may have an app of the same name.
    """
    found: dict[int, str] = {}
    ours = b"LOG_ROOT=" + os.fsencode(root) + b"/"
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):  # it is gone, or somebody else's
            words = Path("/proc", entry, "environ").read_bytes().split(b"\0")
            mark = next((word for word in words if word.startswith(f"{MARK}=".encode())), None)
            if mark is not None and any(word.startswith(ours) for word in words):
                found[int(entry)] = os.fsdecode(mark).partition("=")[2]
    return found


def group(pid: int) -> int:
    """The process group, or 0 when the process is gone."""
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def same_program(pid: int, other: int) -> bool:
    """Whether two processes run the same program."""
    try:
        return os.readlink(f"/proc/{pid}/exe") == os.readlink(f"/proc/{other}/exe")
    except OSError:
        return False


def ignores(pid: int, *signals: signal.Signals) -> bool:
    """Whether the process ignores every one of these signals."""
    try:
        found = re.search(r"^SigIgn:\t(\w+)$", effects.read(Path(f"/proc/{pid}/status")), re.MULTILINE)
    except OSError:
        return False
    mask = int(found[1], 16) if found else 0
    return all(mask >> (number - 1) & 1 for number in signals)


def ancestors(pid: int) -> set[int]:
    """The process itself, and those above it."""
    found: set[int] = set()
    while pid > 1 and pid not in found:
        found.add(pid)
        stat = effects.read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        pid = int(stat[1]) if len(stat) > 1 else 0
    return found


def end(pids: Iterable[int], grace: float) -> None:
    """Ask these processes to end, and kill those that still run after `grace` seconds."""
    handles = _handles(pids)
    try:
        for sign, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
            for handle in handles:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, sign)
            deadline = time.monotonic() + patience
            while handles and (left := deadline - time.monotonic()) > 0:
                ended = set(select.select(handles, [], [], left)[0])
                for handle in ended:
                    os.close(handle)
                handles = [handle for handle in handles if handle not in ended]
    finally:
        for handle in handles:
            os.close(handle)


def _handles(pids: Iterable[int]) -> list[int]:
    # A handle stays with its process; a number may be another one's by the time it is used.
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            found.append(os.pidfd_open(pid))
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
