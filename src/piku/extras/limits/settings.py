"""The settings of limits."""

from __future__ import annotations

from typing import Any

from piku.app.setting import Setting
from piku.extras.limits import checks

# fmt: off
MEMORY_LIMIT = Setting(name="PIKU_MEMORY_LIMIT", check=checks.memory,
    doc="Memory for all processes of the app together, such as 256M or 1.5G; a process that takes"
        " more is killed and started again. Without a cgroup of piku's own, it applies to each"
        " process separately.")
CPU_LIMIT = Setting(name="PIKU_CPU_LIMIT", check=checks.processor,
    doc="Processors for all processes of the app together: 0.5 or 50% of one, 2 or 200%. Piku needs"
        " a cgroup of its own for it.")
NPROC_LIMIT = Setting(name="PIKU_NPROC_LIMIT", check=checks.tasks,
    doc="Processes and threads that the app may have, including uWSGI's. Piku needs a cgroup of its"
        " own for it.")
# fmt: on

SETTINGS: tuple[Setting[Any], ...] = (MEMORY_LIMIT, CPU_LIMIT, NPROC_LIMIT)
