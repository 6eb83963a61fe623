"""Which processes belong to something that was started, found in /proc, and ending them."""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Process:
    pid: int
    parent: int = field(compare=False)  # changes when the parent ends
    started: int  # tells two processes apart that had the same number

    def __str__(self) -> str:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{self.pid}/cmdline").read_bytes().split(b"\0")
            return f"{self.pid} {b' '.join(words).decode(errors='replace').strip()}"
        return f"{self.pid} (gone)"

    def kill(self) -> None:
        if _process(self.pid) == self:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def running() -> list[Process]:
    """Every process, without those that have ended and only wait for their parent to notice."""
    numbers = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [process for process in map(_process, numbers) if process]


def _process(pid: int) -> Process | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    if fields[0] in "ZX":
        return None
    return Process(pid=pid, parent=int(fields[1]), started=int(fields[19]))


def tree(*roots: int) -> set[Process]:
    """The processes with these numbers, and all that descend from them."""
    everything = running()
    found = {process for process in everything if process.pid in roots}
    while True:
        pids = {process.pid for process in found}
        more = {process for process in everything if process.parent in pids} - found
        if not more:
            return found
        found |= more


def ancestors(pid: int) -> set[int]:
    found = {pid}
    while (process := _process(pid)) and process.parent not in found:
        pid = process.parent
        found.add(pid)
    return found


def marked(mark: str, folder: Path) -> set[Process]:
    """Those that were started with the mark (NAME=value) in their environment, or work in the
    folder."""
    return {process for process in running() if _has(process.pid, mark.encode(), folder)}


def _has(pid: int, mark: bytes, folder: Path) -> bool:
    with contextlib.suppress(OSError):  # somebody else's, or gone
        if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            return True
        return Path(f"/proc/{pid}/cwd").readlink().is_relative_to(folder)
    return False


def kill_all(find: Callable[[], Iterable[Process]], *, timeout: float = 10) -> list[str]:
    """Kill what `find` finds until it finds nothing more; tell what that was."""
    told: dict[Process, str] = {}
    deadline = time.monotonic() + timeout
    while victims := list(find()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"these do not die: {', '.join(map(str, victims))}")
        for process in victims:
            told.setdefault(process, str(process))
            process.kill()
        time.sleep(0.01)
    return list(told.values())
