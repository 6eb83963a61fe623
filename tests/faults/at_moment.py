"""Runs piku, and a shell command at one moment of it: at_moment.py CHECKOUT LOG MOMENT COMMAND PIKU...

A moment is right before a change: before a file below PIKU_ROOT is opened for writing, renamed, linked or
removed, before a program is started and before a signal is sent. It is told by its number, from 1, or by a
step of a deploy: the first change of that step, or "STEP+N" for one after it. COMMAND finds this process as $1.

LOG gets a line for each change: its step, what it is, and of which path. What was flushed to the disk, and
under which name a file was before it was renamed, is in it as well, though these are no moments.
"""

import fcntl
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = os.environ["PIKU_ROOT"]
RECORD = re.compile(rf"{re.escape(ROOT)}/releases/[^/]+/v\d+\.json")
PATHS = {
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rmdir": 1,
}
REPLACING = ("os.rename", "os.link", "os.symlink")


class Moments:
    def __init__(self, log: Path, moment: str, command: str) -> None:
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self.moment, self.command = moment, command
        self.number, self.step, self.within, self.last, self.busy = 0, "", 0, "", False

    def see(self, event: str, args: tuple[Any, ...]) -> None:
        """The audit hook of this process."""
        if self.busy or (what := described(event, args)) is None:
            return
        self.busy = True
        place = what.partition(".env/")[0]  # the files of one process's variables count once
        if place != self.last:
            self.number, self.last = self.number + 1, place
            self.act()
            self.within += 1
        if event == "os.rename":
            self.note("renamed", os.path.abspath(os.fsdecode(args[0])))
        self.note(event, what)
        if event == "os.rename" and RECORD.fullmatch(what):
            before, self.step = (
                self.step,
                json.loads(Path(os.fsdecode(args[0])).read_text())["step"],
            )
            self.within = self.within if before == self.step else 0
        self.busy = False

    def act(self) -> None:
        """Run the command if its moment has come."""
        step = self.step or "none"
        if self.moment in (str(self.number), step, f"{step}+{self.within}"):
            self.moment = ""
            subprocess.run(["/bin/sh", "-c", self.command, "sh", str(os.getpid())], check=True)

    def note(self, event: str, what: str) -> None:
        os.write(self.log, f"{self.step}\t{event}\t{what}\n".encode())


def described(event: str, args: tuple[Any, ...]) -> str | None:
    """What an event changes, or None when it changes nothing that matters."""
    if event == "subprocess.Popen":
        return " ".join(map(os.fsdecode, args[1]))
    if event == "os.kill":
        return f"{args[0]} {args[1]}" if args[1] else None
    if event == "open":
        path, _, flags = args
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        return within_root(path) if writes else None
    if count := PATHS.get(event, 0):
        path = within_root(args[count - 1])
        idle = path and os.path.lexists(path) == (event == "os.mkdir") and event not in REPLACING
        return None if idle else path
    return None


def within_root(path: object) -> str | None:
    if not isinstance(path, str | bytes | os.PathLike):
        return None
    text = os.path.abspath(os.fsdecode(path))
    return text if text.startswith(f"{ROOT}/") else None


def main(checkout: str, log: str, moment: str, command: str, *words: str) -> None:
    sys.path[:0] = [f"{checkout}/src"]
    sys.path.append("/usr/lib/python3/dist-packages")
    sys.argv[1:] = words
    from piku.__main__ import main as piku

    moments = Moments(Path(log), moment, command)
    flush = os.fsync

    def fsync(handle: int) -> None:
        flush(handle)
        moments.note("fsync", os.readlink(f"/proc/self/fd/{handle}"))

    os.fsync = fsync  # type: ignore[assignment]
    fcntl.fcntl(moments.log, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    sys.addaudithook(moments.see)
    piku()


if __name__ == "__main__":
    main(*sys.argv[1:])
