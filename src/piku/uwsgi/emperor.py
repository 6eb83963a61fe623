"""The uWSGI emperor: what runs, and having it look at its folder at once.

The emperor's monitor looks every second by itself. SIGWINCH makes it look now; so does a
connection to its statistics socket, which answers with what it knows of each vassal. It starts a
vassal that keeps failing ever more rarely, by its name, so names are never reused (ADR 0024).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass

from piku import files, procfs
from piku.paths import AppName, Paths
from piku.uwsgi import ini

_VASSAL = re.compile(
    r"(?P<app>[A-Za-z0-9][A-Za-z0-9._-]*)@(?P<start>[0-9]+)\.(?P<kind>[\w-]+)\.(?P<instance>[0-9]+)"
)
_ANSWER_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, order=True)
class VassalName:
    """A vassal's name, "APP@START.KIND.INSTANCE": parsed, never matched by a prefix."""

    app: AppName
    start: int
    kind: str
    instance: int

    @classmethod
    def parse(cls, text: str) -> VassalName | None:
        found = _VASSAL.fullmatch(text.removesuffix(".ini"))
        if not found:
            return None
        start, instance = int(found["start"]), int(found["instance"])
        return cls(AppName(found["app"]), start, found["kind"], instance)

    def __str__(self) -> str:
        return f"{self.app}@{self.start}.{self.kind}.{self.instance}"

    @property
    def worker(self) -> str:
        return f"{self.kind}.{self.instance}"


@dataclass(frozen=True, kw_only=True)
class State:
    """What the emperor says of one vassal. One that is `asleep` has no process, and a connection to
    its socket wakes it."""

    pid: int
    accepting: bool
    respawns: int
    asleep: bool = False


def observe(paths: Paths) -> dict[VassalName, State] | None:
    """The vassals that run; None when that is unknown, because the emperor does not answer.

    An emperor that does not run has no vassals: they end with it. Asking also wakes it.
    """
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_ANSWER_TIMEOUT)
            client.connect(str(paths.emperor_stats))
            text = b"".join(iter(lambda: client.recv(65536), b""))
        vassals = json.loads(text)["vassals"]
    except (OSError, ValueError, KeyError):
        return None if is_running(paths) else {}
    return {
        name: State(
            pid=max(0, vassal["pid"]),
            accepting=bool(vassal["accepting"]),
            respawns=vassal["respawns"],
            asleep=vassal["pid"] <= 0 and bool(vassal.get("on_demand")),
        )
        for vassal in vassals
        if (name := VassalName.parse(vassal["id"])) is not None
    }


def is_running(paths: Paths) -> bool:
    """Whether there is an emperor, answering or not."""
    return pid(paths) is not None


def pid(paths: Paths) -> int | None:
    text = files.read(paths.emperor_pid).strip()
    number = int(text) if text.isdecimal() else 0
    # After a crash the number may belong to another program by now.
    return number if str(paths.emperor_ini) in procfs.command(number) else None


def wake(paths: Paths) -> None:
    """Have the emperor look at its folder now."""
    number = pid(paths)
    if number is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGWINCH)


def enabled(paths: Paths, app: AppName | None = None) -> list[VassalName]:
    """The vassals that the emperor should run, of one app or of all."""
    names = (VassalName.parse(file.name) for file in paths.enabled.glob("[!.]*.ini"))
    return sorted(name for name in names if name and app in (None, name.app))


def enable(paths: Paths, names: Iterable[VassalName]) -> None:
    """Have the emperor run these vassals, whose ini files exist."""
    for name in names:
        demand = f"{name}.ini{ini.DEMAND}"
        if (paths.available / demand).exists():  # the emperor looks for it when it sees the vassal
            files.link(paths.available / demand, paths.enabled / demand)
        files.link(paths.available / f"{name}.ini", paths.enabled / f"{name}.ini")
    wake(paths)


def disable(paths: Paths, names: Iterable[VassalName]) -> None:
    """Have the emperor stop these vassals."""
    for name in names:
        files.remove(paths.enabled / f"{name}.ini")
        files.remove(paths.enabled / f"{name}.ini{ini.DEMAND}")
    wake(paths)


def wait_gone(paths: Paths, names: Iterable[VassalName], timeout: float) -> set[VassalName]:
    """Wait until these vassals have ended; returns those of which that is not known after `timeout`
    seconds."""
    left = set(names)
    if left:
        for _ in files.poll(time.monotonic() + timeout, most=0.1):
            running = observe(paths)
            if running is not None and not (left := left & set(running)):
                break
    return left
