"""What the kernel says of running processes (proc(5))."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

# The variable that marks what belongs to a process of an app: its vassal's name.
MARK = "PIKU_PROCESS"


def children(pid: int) -> list[int]:
    """The direct children of a process, whichever of its threads started them."""
    found, tasks = list[int](), f"/proc/{pid}/task"
    with contextlib.suppress(OSError):  # it has ended, which Path.glob does not expect
        for task in os.listdir(tasks):
            found += map(int, _read(Path(tasks, task, "children")).split())
    return found


def descendants(pid: int) -> Iterator[int]:
    """Every process below this one."""
    waiting = children(pid)
    while waiting:
        yield (child := waiting.pop())
        waiting += children(child)


def marked(place: Path, variable: str = MARK) -> dict[int, str]:
    """The processes that were started with this variable, with its value; of all apps of a root,
    or of the one app whose log folder `place` is.

    Another root of the same user may have an app of the same name.
    """
    found: dict[int, str] = {}
    ours, prefix = f"LOG_ROOT={place}/", f"{variable}="
    for folder in Path("/proc").glob("[0-9]*"):
        words = _read(folder / "environ").split("\0")
        mark = next((word for word in words if word.startswith(prefix)), "")
        if mark and any(f"{word}/".startswith(ours) for word in words):
            found[int(folder.name)] = mark.removeprefix(prefix)
    return found


def end(pids: Iterable[int], grace: float) -> list[int]:
    """Ask these processes to end, and kill those that still run after `grace` seconds; returns
    those that do not end even then. One of them may have called us: we and those above us go on."""
    own = {pid := os.getpid()}
    while pid := int((stat(pid) or ["", "0"])[1]):
        own.add(pid)
    # A number may be another process's by then: both together name one.
    left = {pid: since for pid in set(pids) - own if (since := started(pid))}
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        while left := {pid: since for pid, since in left.items() if started(pid) == since}:
            if time.monotonic() >= deadline:
                break
            time.sleep(0.01)
    return list(left)


def working_in(folder: Path) -> Iterator[int]:
    """The processes that we may look at whose working directory this is."""
    target = os.path.realpath(folder)
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if os.readlink(f"/proc/{pid}/cwd") == target:
                yield int(pid)


def started(pid: int) -> str:
    """When the process started, in ticks since the boot; nothing when it has ended."""
    fields = stat(pid)
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
    return _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ").strip()


def memory(pid: int) -> int:
    """Proportional set size in bytes: shared pages count by the share."""
    return _kilobytes("Pss", Path(f"/proc/{pid}/smaps_rollup"))


def tree_memory(pid: int) -> int:
    """The same of a process and all below it; 0 for none."""
    return sum(map(memory, (pid, *descendants(pid)))) if pid else 0


def available_memory() -> int:
    """Bytes that programs could still use without swapping."""
    return _kilobytes("MemAvailable", Path("/proc/meminfo"))


def _kilobytes(name: str, file: Path) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB", _read(file), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on, the state."""
    return _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()


def _read(file: Path) -> str:
    """The file's text; nothing when the process is gone, or another user's."""
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""
