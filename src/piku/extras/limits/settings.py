"""The settings of limits, and their checks: text to value, or ValueError with what is wrong."""

import re
from typing import Any

from piku.app import checks
from piku.app.settings import Setting


def memory(text: str) -> int | None:
    """A size, such as 256M or 1.5G: in bytes; none when empty."""
    if not text:
        return None
    found = re.fullmatch(r"([0-9]{1,7}(?:\.[0-9]{1,3})?) ?([MG])(?:i?B)?", text, re.IGNORECASE)
    size = int(float(found[1]) * 2 ** {"M": 20, "G": 30}[found[2].upper()]) if found else 0
    if not 16 * 2**20 <= size <= 2**40:
        raise ValueError("not a size from 16M to 1024G, such as 256M or 1.5G")
    return size


def processors(text: str) -> float | None:
    """Cores, or a percentage of one: how many may be busy at a time; none when empty."""
    if not text:
        return None
    found = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)( ?%)?", text)
    share = float(found[1]) / (100 if found[2] else 1) if found else 0
    if not 0.01 <= share <= 1024:  # the kernel gives no group less than a hundredth
        raise ValueError("not a number of processors from 0.01 to 1024, such as 0.5 or 150%")
    return share


def tasks(text: str) -> int | None:
    """A whole number: of processes and threads; none when empty."""
    return checks.whole(10, 100000)(text) if text else None


# fmt: off
MEMORY_LIMIT = Setting(name="PIKU_MEMORY_LIMIT", stays=True, check=memory,
    doc="Memory for all processes of the app together, such as 256M or 1.5G; a process that takes"
        " more is killed and started again. Without a cgroup of piku's own, it applies to each"
        " process separately.")
CPU_LIMIT = Setting(name="PIKU_CPU_LIMIT", stays=True, check=processors,
    doc="Processors for all processes of the app together: 0.5 or 50% of one, 2 or 200%. Piku needs"
        " a cgroup of its own for it.")
NPROC_LIMIT = Setting(name="PIKU_NPROC_LIMIT", stays=True, check=tasks,
    doc="Processes and threads that the app may have, including uWSGI's. Piku needs a cgroup of its"
        " own for it.")
# fmt: on

SETTINGS: tuple[Setting[Any], ...] = (MEMORY_LIMIT, CPU_LIMIT, NPROC_LIMIT)
