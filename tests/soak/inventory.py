"""What a server has at some moment: processes, sockets, descriptors, files, memory; and what came on top."""

import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import processes
from sandbox import Sandbox

TEMPORARY = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108 (looked through, not used)
# Names that differ each time, and what is counted in their place.
_VARYING: tuple[tuple[str, str], ...] = (
    (r"\b[0-9a-f]{40}\b", "COMMIT"),
    (r"\bpython-[0-9a-f]+", "python-KEY"),
    (r"\b(activations/|v|run\.)\d+", r"\1N"),
    (r"@\d+", "@N"),
    (r"@push-\w+", "@push-X"),
    (r"(?<=\.)[\w-]+(?=\.tmp\b)", "X"),
    (r"\b[12]\d{4}\b", "PORT"),
)
# Folders that are there or not as a whole: a checkout, an environment, an activation.
_WHOLE = re.compile(r"/releases/[^/]+/(activations/\d+|[0-9a-f]{40})$|/envs/[^/]+/[^/]+$")


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """How many there are of each kind of thing, by what they are called, and megabytes by program."""

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
    running = server.processes() | processes.tree(server.platform_pid())
    listeners = dict(_listeners())
    for process in running:
        name = _process_name(process, server.base)
        found[f"process {name}"] += 1
        handles = list(_descriptors(process.pid))
        ours = name.startswith(("nginx", "emperor", "supervisor"))
        for target in handles:
            if target in listeners:
                found[f"listener of {name}: {_named(listeners[target], server.base)}"] += 1
            if ours:
                found[f"descriptor of {name}: {_kind(target, server.base)}"] += 1
    for pid in _zombies({process.pid for process in running}):
        found[f"zombie of {pid}"] += 1
    for path in _files(server.root):
        found[f"file {_named(str(path), server.base)}"] += 1
        if path.is_socket() and str(path) not in listeners.values():
            found[f"dead socket {_named(str(path), server.base)}"] += 1
        if path.is_symlink() and not path.exists():
            found[f"dangling link {_named(str(path), server.base)}"] += 1
    for folder in TEMPORARY:
        found.update(
            f"temporary file {path}" for path in folder.iterdir() if _is_ours(path, server.base)
        )
    return Inventory(things=found, memory=memory(server))


def memory(server: Sandbox) -> dict[str, float]:
    """Megabytes (PSS) of nginx and of the emperor, each with its helpers."""
    found: Counter[str] = Counter()
    for process in processes.tree(server.platform_pid()):
        name = _process_name(process, server.base)
        if name.startswith(("nginx", "emperor")):
            found[name] += pss(process.pid)
    return {name: value / 2**20 for name, value in found.items()}


def pss(pid: int) -> int:
    """Proportional set size of a process in bytes: shared pages count by the share. 0 when it is gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def shares(server: Sandbox) -> dict[int, float]:
    """The same in bytes for each process of the server, as if nothing else ran on this machine: pages of
    programs and libraries are shared among the server's own processes alone."""
    mapped = {process.pid: dict(_mapped(process.pid)) for process in server.processes()}
    every: dict[str, list[float]] = {}
    for files in mapped.values():
        for file, (_, shared, _) in files.items():
            every.setdefault(file, []).append(shared)
    # Of a file, whoever uses most of it has what the others use as well.
    part = {file: max(sizes) / (sum(sizes) or 1) for file, sizes in every.items()}
    return {
        pid: sum(
            private + (shared * part[file] if file else proportional)
            for file, (private, shared, proportional) in files.items()
        )
        for pid, files in mapped.items()
    }


def _mapped(pid: int) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """What a process has in memory of each file, and under "" of all else: bytes of its own, shared ones, and
    its share of those by the kernel's count."""
    sizes: dict[str, Counter[str]] = {}
    file = ""
    try:
        lines = Path(f"/proc/{pid}/smaps").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        name, *rest = line.split()
        if not name.endswith(":"):
            file = rest[4] if len(rest) == 5 and rest[4].startswith("/") else ""
        elif name[:-1] in ("Private_Clean", "Private_Dirty", "Shared_Clean", "Shared_Dirty", "Pss"):
            sizes.setdefault(file, Counter())[name.partition("_")[0].rstrip(":")] += (
                int(rest[0]) * 1024
            )
    for file, each in sizes.items():
        yield file, (each["Private"], each["Shared"], max(0, each["Pss"] - each["Private"]))


def _process_name(process: processes.Process, base: Path) -> str:
    command = str(process).partition(" ")[2]
    if command.startswith("nginx: "):
        return command.split(" /")[0].replace("master process", "master")
    if vassal := re.search(r"--ini (\S*@\S+)", command):
        return f"vassal {_named(vassal[1], base)}"
    if "templates/up.sh" in command:
        return "supervisor"
    if "uwsgi/uwsgi.ini" in command:
        return "emperor"
    return _named(command, base)


def _named(text: str, base: Path) -> str:
    text = text.replace(str(base), "BASE")
    for pattern, name in _VARYING:
        text = re.sub(pattern, name, text)
    return text


def _kind(target: str, base: Path) -> str:
    return target.partition(":")[0] if not target.startswith("/") else _named(target, base)


def _descriptors(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    try:
        handles = os.listdir(folder)
    except OSError:
        return
    for handle in handles:
        try:
            yield os.readlink(f"{folder}/{handle}")
        except OSError:
            continue


def _listeners() -> Iterator[tuple[str, str]]:
    """What a descriptor of a listening socket is called in /proc, and its address."""
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" or table.startswith("udp"):
                yield f"socket:[{fields[9]}]", f"{table} {int(fields[1].rpartition(':')[2], 16)}"
    for line in Path("/proc/net/unix").read_text(errors="replace").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and fields[3] == "00010000":
            yield f"socket:[{fields[6]}]", fields[7]


def _zombies(parents: set[int]) -> Iterator[int]:
    """The parents of processes that have ended and nobody asked about."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[0] == "Z" and int(fields[1]) in parents:
                yield int(fields[1])


def _files(root: Path) -> Iterable[Path]:
    """Every file and folder of the server; of what git keeps only what it has not come to an end with."""
    for folder, folders, names in os.walk(root):
        place = Path(folder)
        if "objects" in place.parts:
            names = [name for name in names if name.startswith("tmp_") or name.endswith(".lock")]
            folders[:] = [name for name in folders if name in ("pack", "info") or len(name) == 2]
            yield from (
                place / name for name in os.listdir(folder) if name.startswith("tmp_objdir")
            )
        elif place.name == "refs" or _WHOLE.search(folder):
            folders.clear()
            names = []
        yield from (
            place / name for name in (*names, *(folders if "objects" not in place.parts else ()))
        )


def _is_ours(path: Path, base: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return found.st_uid == os.getuid() and path != base and not stat.S_ISLNK(found.st_mode)
