"""What the tests of limits share: how to ask an app, and the kernel, what it takes."""

from __future__ import annotations

import http.client
import json
import re
from pathlib import Path

from tests.e2e.support import App

# Seconds within which an app comes back; a processor that is emulated takes its time.
PATIENCE = 120 if "QEMU TCG" in Path("/proc/cpuinfo").read_text() else 10
KILLED = "killed: the app used more than PIKU_MEMORY_LIMIT=64M; started again"


def eat(app: App, megabytes: int) -> bool:
    """Have the app take so much memory; returns whether it could."""
    try:
        return app.server.get(app.host, f"/eat/{megabytes}")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def is_back(app: App) -> None:
    """Wait until it answers again."""
    app.server.wait(lambda: app.status() == 200, timeout=PATIENCE)


def limits(app: App) -> str:
    """What `piku ps` says that it uses of its limits."""
    [line] = [line for line in app.does("ps").splitlines() if line.startswith("Limits: ")]
    return line.removeprefix("Limits: ")


def memory(app: App) -> float:
    """Megabytes that it uses of its limit."""
    found = re.match(r"memory ([0-9.]+) of 64 MB", limits(app))
    assert found, limits(app)
    return float(found[1])


def told(app: App) -> int:
    """How often the logs tell that it was killed; it is written before the app answers again."""
    return app.does("logs", "--no-follow", "--lines", "1000").count(KILLED)


def about(app: App) -> dict[str, str]:
    found: dict[str, str] = json.loads(app.body("/about"))
    return found


def left(given: Path, app: str) -> list[str]:
    """The groups that there are of the app."""
    return sorted(path.name for path in given.glob(f"app-{app}@*"))


def group_in(app: App, text: str) -> str:
    """The group that a process of the app is in, by the kernel's word on it."""
    lines = [line for line in text.splitlines() if f"/app-{app.name}@" in line]
    [name] = {line.partition(f"/app-{app.name}@")[2] for line in lines}
    return name


def group_of(app: App) -> str:
    return group_in(app, about(app)["cgroup"])
