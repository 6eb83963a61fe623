"""Why a process was killed, by what the kernel counts."""

from __future__ import annotations

import pytest

from piku import files
from piku.deploy.releases import Process
from piku.extras.limits import limits
from piku.paths import AppPaths


@pytest.mark.parametrize(
    ("oom", "why"),
    [(0, ": it was killed, for the server had no memory left"),
     (1, ": it was killed, for the app used more than PIKU_MEMORY_LIMIT")],
)  # fmt: skip
def test_who_had_no_memory_left(shop: AppPaths, oom: int, why: str) -> None:
    process, group = Process(kind="web", instance=1, start=3), shop.root / "uwsgi/cgroup/group"
    assert limits.ended(shop, process) == ""
    files.write(shop.start(3) / "limits.json", '{"group": "group"}')
    files.write(group / "memory.events", f"oom {oom}\noom_kill 1\n")
    files.write(group / "web.1/memory.events", "oom 0\noom_kill 0\n")
    assert limits.ended(shop, process) == ""
    files.write(group / "web.1/memory.events", "oom 0\noom_kill 1\n")
    assert limits.ended(shop, process) == why
