"""What a server has at some moment: processes, descriptors, files, memory; and what came on top."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import processes
from sandbox import Sandbox

TEMPORARY = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108 (looked through)
# A checkout or an environment, which is there or not as a whole.
WHOLE = re.compile(r"/(releases|envs)/[^/]+/([a-z]+-)?[0-9a-f]{12,}$")


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """How many there are of each thing, by what it is called, and megabytes by program."""

    things: Mapping[str, int]
    memory: Mapping[str, float]

    def more_than(self, before: "Inventory", allowed: Callable[[str], bool]) -> list[str]:
        """What there is more of than before, or is there for the first time."""
        return [
            f"{name}: {before.things.get(name, 0)} before, {count} now"
            for name, count in sorted(self.things.items())
            if count > before.things.get(name, 0) and not allowed(name)
        ]


def take(server: Sandbox) -> Inventory:
    """Everything that the server has, and what its user has in the folders for temporary files."""
    found: Counter[str] = Counter()
    memory: Counter[str] = Counter()
    platform = processes.tree(server.platform_pid())
    for process in server.processes() | platform:
        name = program(process, server.base)
        found[f"process {name}"] += 1
        if name.startswith(("nginx", "emperor")):
            memory[name] += pss(process.pid)
            found[f"descriptors of {name}"] += len(descriptors(process.pid))
    for path in files(server.root):
        kind = "file"
        if path.is_symlink() and not path.exists():
            kind = "dangling link"
        found[f"{kind} {named(str(path), server.base)}"] += 1
    for folder in TEMPORARY:
        for path in folder.iterdir():
            if path != server.base and path.lstat().st_uid == os.getuid():
                found[f"temporary file {path}"] += 1
    return Inventory(things=found, memory={name: size / 2**20 for name, size in memory.items()})


def pss(pid: int) -> int:
    """Proportional set size of a process in bytes: shared pages count by the share."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def descriptors(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return []


def program(process: processes.Process, base: Path) -> str:
    command = str(process).partition(" ")[2]
    if command.startswith("nginx: "):
        return command.split(" /")[0].replace("master process", "master")
    if vassal := re.search(r"--ini (\S*@\S+)", command):
        return f"vassal {named(vassal[1], base)}"
    return "emperor" if "uwsgi/uwsgi.ini" in command else named(command, base)


def named(text: str, base: Path) -> str:
    """Without what differs each time: commits and keys, numbers, names of temporary files."""
    text = text.replace(str(base), "BASE")
    text = re.sub(r"\b[0-9a-f]{12,}\b", "KEY", text)
    text = re.sub(r"(?<=\.)[\w-]+(?=\.tmp\b)|(?<=@push-)\w+", "X", text)
    return re.sub(r"\d+", "N", text)


def files(root: Path) -> Iterator[Path]:
    """Every file and folder; of what git keeps only what it has not come to an end with."""
    for folder, folders, names in os.walk(root):
        place = Path(folder)
        if "objects" in place.parts:
            names = [name for name in (*names, *folders) if name.startswith("tmp_")]
            folders[:] = [name for name in folders if name not in names]
        elif place.name == "refs" or WHOLE.search(folder):
            folders.clear()
            names = []
        else:
            names = [*names, *folders]
        yield from (place / name for name in names)
