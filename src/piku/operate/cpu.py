"""What processes take of the machine: two looks at all of them tell what was used in between (proc(5))."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from piku import procfs

_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Look:
    """Every process at one moment: its children, and the seconds of a processor that it and those that
    have ended below it have had."""

    when: float
    children: Mapping[int, tuple[int, ...]]
    spent: Mapping[int, float]

    def tree(self, pid: int) -> Iterator[int]:
        """The process and all below it; nothing when there is none of that number."""
        if pid in self.spent:
            yield pid
            for child in self.children.get(pid, ()):
                yield from self.tree(child)

    def memory(self, pid: int) -> int:
        """Bytes of memory that the process and all below it take, shared pages by the share."""
        return sum(procfs.memory(each) for each in self.tree(pid))


def look() -> Look:
    """Look at what runs now."""
    children: dict[int, list[int]] = {}
    spent: dict[int, float] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _fields(entry)):
            pid = int(entry)
            children.setdefault(int(fields[1]), []).append(pid)
            spent[pid] = _own(pid, fields) + (int(fields[13]) + int(fields[14])) * _TICK
    return Look(
        when=time.monotonic(),
        children={pid: tuple(below) for pid, below in children.items()},
        spent=spent,
    )


def _fields(pid: str) -> list[bytes]:
    """What the kernel says of a process, from its state on: field 3 of the manual is the first."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []  # it has just ended


def _own(pid: int, fields: list[bytes]) -> float:
    """Seconds of a processor that the process itself has had, all its threads together."""
    try:
        return time.clock_gettime(
            ~pid << 3 | 2
        )  # its clock, clock_getcpuclockid(3): exact, where ticks are not
    except OSError:
        return (int(fields[11]) + int(fields[12])) * _TICK


def percent(before: Look, now: Look, pid: int) -> float:
    """How much of one processor the process and all below it had between two looks.

    What ended meanwhile is counted by its parent from then on.
    """
    belong = set(now.tree(pid))
    known = belong | set(before.tree(pid))
    used = sum(now.spent[each] for each in belong) - sum(
        before.spent.get(each, 0.0) for each in known
    )
    return max(0.0, round(100 * used / max(now.when - before.when, 0.001), 1))
