"""What several extras use, and nothing of the core."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from piku import files, subprocesses
from piku.errors import PikuError


def seconds(text: str) -> int:
    """The length of time that "90m", "12h", "7d" or "4w" names; raises PikuError."""
    found = re.fullmatch("([1-9][0-9]{0,4})([mhdw])", text)
    if found is None:
        raise PikuError(f"{text[:60]!r} is not a length of time", hint="write 12h or 7d", code=2)
    return int(found[1]) * {"m": 60, "h": 3600, "d": 86400, "w": 604800}[found[2]]


def space(folder: Path) -> tuple[int, int, bool]:
    """Bytes of the disk that a folder is on, those that are free, and whether these are few."""
    usage = shutil.disk_usage(folder)
    return usage.total, usage.free, usage.free < max(100 << 20, min(1 << 30, usage.total // 10))


def spawn(
    argv: Sequence[str], *, cwd: Path, env: Mapping[str, str], output: int
) -> subprocess.Popen[bytes]:
    """Start a program that goes on when we have ended, in a session of its own, without input and
    with `output`, an open file, for what it prints."""
    return subprocess.Popen(
        subprocesses.located(argv, env.get("PATH")), cwd=cwd, env=env, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=output, stderr=output,
    )  # fmt: skip


def temporary_file(parent: Path, name: str) -> Path:
    """A new, empty file that the caller removes."""
    handle, place = tempfile.mkstemp(prefix=files.prefix(name), suffix=".tmp", dir=parent)
    os.close(handle)
    return Path(place)


def undo_when_ended() -> None:
    """Have SIGHUP and SIGTERM raise SystemExit: a command that is ended then undoes what it has
    begun, as after any other failure."""
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: sys.exit(128 + number))
