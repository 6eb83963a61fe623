"""Checks of the settings that say what an app may take: text to value, or ValueError with what is wrong."""

from __future__ import annotations

import re

from piku.app import checks

_UNITS = {"M": 2**20, "G": 2**30}
# A Python that does nothing yet takes some 10 MB.
_LEAST_MEMORY, _MOST_MEMORY = 16 * 2**20, 2**40
# The kernel gives no group less than a hundredth of a processor.
_LEAST_PROCESSOR, _MOST_PROCESSOR = 0.01, 1024.0
# What stands around an app, uWSGI or a shell, takes some of them; its threads count as well.
_LEAST_TASKS, _MOST_TASKS = 10, 100000


def memory(text: str) -> int | None:
    """A size, such as 256M or 1.5G: in bytes; none when empty."""
    if not text:
        return None
    found = re.fullmatch(r"([0-9]{1,7}(?:\.[0-9]{1,3})?) ?([MG])(?:i?B)?", text, re.IGNORECASE)
    if found is None:
        raise ValueError("not a size such as 256M or 1.5G")
    size = int(float(found[1]) * _UNITS[found[2].upper()])
    if not _LEAST_MEMORY <= size <= _MOST_MEMORY:
        raise ValueError("not a size from 16M to 1024G")
    return size


def processor(text: str) -> float | None:
    """Cores, or a percentage of one: how many may be busy at a time; none when empty."""
    if not text:
        return None
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)( ?%)?", text)
    if found is None:
        raise ValueError("not a number of processors such as 0.5 or 150%")
    share = float(found[1]) / (100 if found[2] else 1)
    if not _LEAST_PROCESSOR <= share <= _MOST_PROCESSOR:
        raise ValueError("not from 0.01 to 1024 processors (1% to 102400%)")
    return share


def tasks(text: str) -> int | None:
    """A whole number: of processes and threads; none when empty."""
    return checks.whole(_LEAST_TASKS, _MOST_TASKS)(text) if text else None
