"""What the kernel says of running processes (proc(5))."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from piku import files

# The variable that marks what belongs to a process of an app: its vassal's name.
MARK = "PIKU_PROCESS"


def children(pid: int) -> list[int]:
    """The direct children of a process, whichever of its threads started them."""
    found = []
    with contextlib.suppress(OSError):  # it is gone
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += _read(pid, f"task/{thread}/children").split()
    return [int(child) for child in found]


def descendants(pid: int) -> Iterator[int]:
    """Every process below this one."""
    waiting = children(pid)
    while waiting:
        yield (child := waiting.pop())
        waiting += children(child)


def ancestors(pid: int) -> set[int]:
    """The process itself, and those above it."""
    found: set[int] = set()
    while pid > 1 and pid not in found:
        found.add(pid)
        pid = int((_stat(pid) or ["", "0"])[1])
    return found


def with_variables(wanted: Mapping[str, str]) -> list[int]:
    """The processes that were started with all of these variables."""
    words = {f"{name}={value}".encode() for name, value in wanted.items()}
    return [pid for pid, variables in _environments() if words.issubset(variables)]


def marked(root: Path) -> dict[int, str]:
    """The processes of this root's apps that have the mark, with its value.

    Another root of the same user may have an app of the same name.
    """
    found: dict[int, str] = {}
    ours, prefix = b"LOG_ROOT=" + os.fsencode(root) + b"/", f"{MARK}=".encode()
    for pid, variables in _environments():
        mark = next((word for word in variables if word.startswith(prefix)), None)
        if mark is not None and any(word.startswith(ours) for word in variables):
            found[pid] = os.fsdecode(mark.removeprefix(prefix))
    return found


def _environments() -> Iterator[tuple[int, list[bytes]]]:
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):  # it is gone, or another user's
                yield int(entry), Path("/proc", entry, "environ").read_bytes().split(b"\0")


def end(pids: Iterable[int], grace: float) -> list[int]:
    """Ask these processes to end, and kill those that still run after `grace` seconds; returns
    those that do not end even then."""
    # A number may be another process's by then: both together name one.
    left = {pid: since for pid in pids if (since := started(pid))}
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for pid, since in left.items():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if started(pid) == since:
                    os.kill(pid, number)
        for _ in files.poll(time.monotonic() + patience):
            left = {pid: since for pid, since in left.items() if started(pid) == since}
            if not left:
                return []
    return list(left)


def started(pid: int) -> str:
    """When the process started, in ticks since the boot; nothing when it has ended."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def age(pid: int) -> float:
    """For how many seconds the process has run; 0 when it has ended."""
    since = started(pid)
    running = float(Path("/proc/uptime").read_text().split()[0])
    return max(0.0, running - int(since) / os.sysconf("SC_CLK_TCK")) if since else 0.0


def is_running(pid: int) -> bool:
    """Whether the process exists and has not ended: a zombie has."""
    return bool(started(pid))


def command(pid: int) -> str:
    """The command line, or nothing when the process is gone."""
    return _read(pid, "cmdline").replace("\0", " ").strip()


def memory(pid: int) -> int:
    """Proportional set size in bytes: shared pages count by the share."""
    found = re.search(r"^Pss:\s+(\d+) kB", _read(pid, "smaps_rollup"), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def available_memory() -> int:
    """Bytes that programs could still use without swapping."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on, the state."""
    return _read(pid, "stat").rpartition(")")[2].split()


def _read(pid: int, name: str) -> str:
    try:
        return files.read(Path(f"/proc/{pid}/{name}"))
    except OSError:
        return ""
