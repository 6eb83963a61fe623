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

from piku import files

# The variable that marks what belongs to a process of an app: its vassal's name.
MARK = "PIKU_PROCESS"


# So many processes are waited for at a time: each takes a descriptor, of which a process has some thousand.
_AT_A_TIME = 200


def children(pid: int) -> list[int]:
    """The direct children of a process, whichever of its threads has started them."""
    found = []
    with contextlib.suppress(OSError):  # it is gone
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                found += files.read(Path(f"/proc/{pid}/task/{thread}/children")).split()
    return [int(child) for child in found]


def descendants(pid: int) -> Iterator[int]:
    """Every process below this one."""
    waiting = children(pid)
    while waiting:
        yield (child := waiting.pop())
        waiting += children(child)


def session(leader: int) -> list[int]:
    """The processes of the session that this process has begun."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                found += [int(entry)] if os.getsid(int(entry)) == leader else []
    return found


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
        found = re.search(
            r"^SigIgn:\t(\w+)$", files.read(Path(f"/proc/{pid}/status")), re.MULTILINE
        )
    except OSError:
        return False
    mask = int(found[1], 16) if found else 0
    return all(mask >> (number - 1) & 1 for number in signals)


def ancestors(pid: int) -> set[int]:
    """The process itself, and those above it."""
    found: set[int] = set()
    while pid > 1 and pid not in found:
        found.add(pid)
        stat = files.read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        pid = int(stat[1]) if len(stat) > 1 else 0
    return found


def end(pids: Iterable[int], grace: float) -> list[int]:
    """Ask these processes to end, and kill those that still run after `grace` seconds; returns who is left."""
    left = {pid: since for pid in pids if (since := started(pid))}
    for sign, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        for pid, since in left.items():
            _send(pid, since, sign)
        left = _left(left, time.monotonic() + patience)
    return list(left)


def _send(pid: int, since: str, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError), _handle(pid, since) as handle:
        signal.pidfd_send_signal(handle, sign)


@contextlib.contextmanager
def _handle(pid: int, since: str) -> Iterator[int]:
    """A handle of the process that started then: it stays with it, and a number may soon be another one's."""
    handle = os.pidfd_open(pid)
    try:
        if started(pid) != since:
            raise ProcessLookupError(pid)
        yield handle
    finally:
        os.close(handle)


def _left(waiting: Mapping[int, str], deadline: float) -> dict[int, str]:
    """Wait for these processes, known by number and start; returns those that run beyond the deadline."""
    left: dict[int, str] = {}
    numbers = list(waiting)
    for first in range(0, len(numbers), _AT_A_TIME):
        with contextlib.ExitStack() as stack:
            handles = {}
            for pid in numbers[first : first + _AT_A_TIME]:
                with contextlib.suppress(ProcessLookupError):
                    handles[stack.enter_context(_handle(pid, waiting[pid]))] = pid
            left |= {pid: waiting[pid] for pid in _unended(handles, deadline)}
    return left


def _unended(handles: Mapping[int, int], deadline: float) -> list[int]:
    """The processes behind these handles that have not ended by then."""
    poller = select.poll()
    for handle in handles:
        poller.register(handle, select.POLLIN)
    left = dict(handles)
    while left:
        seconds = max(0.0, deadline - time.monotonic())
        if not (ended := poller.poll(seconds * 1000)):
            break
        for handle, _ in ended:
            poller.unregister(handle)
            del left[handle]
    return list(left.values())


def started(pid: int) -> str:
    """When the process started, in ticks since the boot; nothing when it has ended (proc(5), field 22)."""
    try:
        fields = files.read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    except OSError:
        return ""
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def age(pid: int) -> float:
    """For how many seconds the process has run; nothing when it has ended."""
    since = started(pid)
    running = float(files.read(Path("/proc/uptime")).split()[0])
    return max(0.0, running - int(since) / os.sysconf("SC_CLK_TCK")) if since else 0.0


def is_running(pid: int) -> bool:
    """Whether the process exists and has not ended: one that its parent has yet to notice has."""
    return bool(started(pid))


def command(pid: int) -> str:
    """The command line, or nothing when the process is gone."""
    try:
        return files.read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ").strip()
    except OSError:
        return ""


def memory(pid: int) -> int:
    """Proportional set size in bytes: shared pages count by the share."""
    try:
        found = re.search(
            r"^Pss:\s+(\d+) kB", files.read(Path(f"/proc/{pid}/smaps_rollup")), re.MULTILINE
        )
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def available_memory() -> int:
    """Bytes that programs could still use without swapping."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", files.read(Path("/proc/meminfo")), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
