"""What a daemon's runner notes of each start and end (`uwsgi.runner`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from piku import files, procfs
from piku.deploy.releases import Process
from piku.paths import AppPaths


@dataclass(frozen=True, kw_only=True)
class Notes:
    """The starts as pid and time, the ends as exit code and time; times in seconds of the epoch."""

    starts: Sequence[tuple[int, int]] = ()
    ends: Sequence[tuple[int, int]] = ()

    @property
    def pid(self) -> int:
        """The program as last started, if it still runs; else 0."""
        pid = self.starts[-1][0] if self.starts else 0
        return pid if pid and procfs.is_running(pid) else 0

    @property
    def has_ended(self) -> bool:
        """Whether it has ever ended, be it that it was started again since."""
        return bool(self.ends) or len(self.starts) > 1 or (bool(self.starts) and not self.pid)


def read(app: AppPaths, process: Process) -> Notes:
    found: dict[str, list[tuple[int, int]]] = {"start": [], "end": []}
    for line in files.read(app.notes(process.origin, process.worker)).splitlines():
        what, *numbers = line.split()
        if what in found and len(numbers) == 2 and all(number.isdecimal() for number in numbers):
            found[what].append((int(numbers[0]), int(numbers[1])))
    return Notes(starts=found["start"], ends=found["end"])
