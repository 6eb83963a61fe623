"""Finding out what code of others does to the process that it runs in: in a process of its own."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def ruined(things: Sequence[T], work: Callable[[T], object], patience: float) -> dict[T, str]:
    """Which of these cannot be worked on in this process, and why: that ends it, or has not come back after
    `patience` seconds. What it raises does not count.

    Each one that does so takes the process that tries them with it, and the next process tries those after it.
    """
    found: dict[T, str] = {}
    left = things
    while left:
        done, reason = _try(left, work, patience)
        if reason:
            found[left[done]] = reason
        left = left[done + 1 :] if reason else []
    return found


def _try(left: Sequence[T], work: Callable[[T], object], patience: float) -> tuple[int, str]:
    """Work on things in a child: how many came back, and what became of the one after them."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _try_here(left, work, writing)
    os.close(writing)
    done, in_time = 0, True
    try:
        while (
            done < len(left) and (in_time := _readable(reading, patience)) and os.read(reading, 1)
        ):
            done += 1
    finally:
        os.close(reading)
        status = _ended(child)
    if done == len(left):
        return done, ""
    if not in_time:
        return done, f"it did not come back within {patience:.0f} s"
    code = os.waitstatus_to_exitcode(status)
    how = f"with exit code {code}" if code >= 0 else f"by signal {-code}"
    return done, f"it ends the process that loads it, {how}"


def _readable(handle: int, patience: float) -> bool:
    return bool(select.select([handle], [], [], patience)[0])


def _try_here(left: Sequence[T], work: Callable[[T], object], writing: int) -> None:
    """In the child: a byte for each thing that came back, whatever came of it."""
    try:
        os.setsid()  # with all that it starts it is ended
        nowhere = os.open(os.devnull, os.O_RDWR)
        for handle in (0, 1, 2):
            os.dup2(nowhere, handle)
        for thing in left:
            with contextlib.suppress(Exception):
                work(thing)
            os.write(writing, b".")
    finally:
        os._exit(0)


def _ended(child: int) -> int:
    """End a child, if it has not ended by itself, with what it started; how it did."""
    for end in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            end(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]
