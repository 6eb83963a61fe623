"""Ways out of an app, each of them tried: what works is reported by its name, as JSON.

`targets.json` beside this file says where the server and its other app, the victim, are.
"""

import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
TARGETS = json.loads((HERE / "targets.json").read_text())
ROOT, HOME, PID = Path(TARGETS["root"]), Path(TARGETS["home"]), int(TARGETS["pid"])
VICTIM, APP = TARGETS["victim"], os.environ["APP"]
LIBC = ctypes.CDLL(None, use_errno=True)


def read(path: Path) -> bool:
    return bool(path.read_bytes())


def read_one(folder: Path) -> bool:
    return any(path.is_file() and path.read_bytes() for path in folder.rglob("*"))


def write(path: Path) -> bool:
    """Open a file to add to it; one that was not there is removed again."""
    with path.open("ab") as file:
        if not file.tell():
            path.unlink()
    return True


def replace(path: Path) -> bool:
    return read(path) and write(path)


def connects(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(address)
    return True


def connects_to_port(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 5):
        return True


def signals(pid: int, command: str) -> bool:
    """Send a signal that hurts nobody. Numbers of our own processes may be the same."""
    if command not in Path(f"/proc/{pid}/cmdline").read_text():
        return False
    os.kill(pid, signal.SIGCONT)
    return True


def traces(pid: int) -> bool:
    if LIBC.ptrace(0x4206, pid, 0, 0):  # PTRACE_SEIZE
        raise OSError(ctypes.get_errno(), "ptrace")
    LIBC.ptrace(17, pid, 0, 0)  # PTRACE_DETACH
    return True


def opens(path: Path) -> bool:
    """Whether the memory of a process is to be had, if it is the victim's."""
    with path.open("rb"):
        return environ(PID)


def environ(pid: int) -> bool:
    return b"SECRET=" in Path(f"/proc/{pid}/environ").read_bytes()


def shared_memory() -> bool:
    """System V's: the victim made it with this key."""
    return int(LIBC.shmget(0x7069, 0, 0)) >= 0


def gains_rights() -> bool:
    return "\nNoNewPrivs:\t0\n" in Path("/proc/self/status").read_text()


def mounts() -> bool:
    if LIBC.mount(b"none", b"/usr", None, 0x1020, None):  # remount, bind: to be written to
        raise OSError(ctypes.get_errno(), "mount")
    return True


def inherits() -> bool:
    """A file of the server's that was left open for us, other than our own log."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        target = str(link.readlink()) if link.is_symlink() else ""
        found += [target] if target.startswith(str(ROOT)) and APP not in target else []
    return bool(found)


WAYS: dict[str, Callable[[], bool]] = {
    "read another app's settings": lambda: read(ROOT / "envs" / VICTIM / "ENV"),
    "read the variables that its processes start with": lambda: read_one(
        ROOT / "releases" / VICTIM / "starts"
    ),
    "read its code": lambda: read(ROOT / "apps" / VICTIM / "victim.py"),
    "read its data": lambda: read(ROOT / "data" / VICTIM / "kept.txt"),
    "change its data": lambda: write(ROOT / "data" / VICTIM / "kept.txt"),
    "read its logs": lambda: read(ROOT / "logs" / VICTIM / "build.log"),
    "write into its logs": lambda: write(ROOT / "logs" / VICTIM / "build.log"),
    "read its files in /tmp": lambda: read(Path(TARGETS["tmp"])),
    "put packages into the caches of other builds": lambda: write(ROOT / "cache" / "x.whl"),
    "read the variables of its process in /proc": lambda: environ(PID),
    "read the memory of its process": lambda: opens(Path(f"/proc/{PID}/mem")),
    "trace its process": lambda: traces(PID),
    "send its process a signal": lambda: signals(PID, "victim.py"),
    "send the emperor a signal": lambda: signals(TARGETS["emperor"], "uwsgi.ini"),
    "connect to its unix socket": lambda: connects(str(ROOT / "data" / VICTIM / "app.sock")),
    "connect to the socket that nginx reaches it by": lambda: connects(
        str(ROOT / "nginx" / f"{TARGETS['served']}.sock")
    ),
    "ask the emperor what runs": lambda: connects(str(ROOT / "uwsgi" / "emperor.stats")),
    "use its shared memory (System V)": shared_memory,
    "use its shared memory (/dev/shm)": lambda: read(Path(TARGETS["shm"])),
    "read its certificate's key": lambda: read(ROOT / "nginx" / f"{VICTIM}@self-signed.pem"),
    "have nginx serve something else": lambda: replace(ROOT / "nginx" / f"{VICTIM}.conf"),
    "have the emperor start something": lambda: write(ROOT / "uwsgi-enabled" / "x.txt"),
    "change its git repository": lambda: write(ROOT / "repos" / VICTIM / "hooks" / "x"),
    "have git run something at the next push": lambda: write(ROOT / "repos" / APP / "hooks" / "x"),
    "have git run something in its own checkout": lambda: write(HERE / ".git" / "config"),
    "add a plugin to piku": lambda: write(ROOT / "plugins" / "x.txt"),
    "change its own settings, and so end its walls": lambda: write(ROOT / "envs" / APP / "ENV"),
    "change the record of what is live": lambda: write(ROOT / "releases" / APP / "live.json"),
    "replace its log by a link": lambda: write(ROOT / "logs" / APP / "x.log"),
    "change the settings of the server": lambda: write(ROOT / "ENV"),
    "read who may log in": lambda: read(HOME / ".ssh" / "authorized_keys"),
    "let somebody log in": lambda: (
        read(HOME / ".ssh" / "authorized_keys") and write(HOME / ".ssh" / "authorized_keys")
    ),
    "gain rights by a setuid program": gains_rights,
    "reach devices": lambda: Path("/dev/kmsg").exists(),
    "write to /sys": lambda: os.access("/sys/fs/cgroup/cgroup.procs", os.W_OK),
    "change what is mounted": mounts,
    "use a file that was left open": inherits,
    "connect to its port on the loopback address": lambda: connects_to_port(TARGETS["port"]),
    "connect to its abstract unix socket": lambda: connects(f"\0victim-{TARGETS['port']}"),
}


def tried() -> dict[str, str]:
    found = {}
    for name, way in WAYS.items():
        try:
            found[name] = "" if way() else "nothing"
        except OSError as error:
            found[name] = type(error).__name__
    return found


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(tried()))
