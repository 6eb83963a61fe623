"""Run a command in a cgroup whose subtree anybody may use: delegated.py COMMAND...

As systemd does with Delegate=yes, for tests: root makes a group in each hierarchy, of version 2 where that
has the controllers, else of version 1. The command runs in a leaf of it called "tests".
"""

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TOP = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "cpu", "pids")
OPEN = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control")


def hierarchies() -> list[Path]:
    """The tops of the hierarchies that have the controllers."""
    offered = TOP / "cgroup.controllers"
    if offered.exists() and set(CONTROLLERS) <= set(offered.read_text().split()):
        (TOP / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in CONTROLLERS))
        return [TOP]
    return [TOP / name for name in CONTROLLERS]


@contextlib.contextmanager
def entered(top: Path, title: str) -> Iterator[None]:
    """Be in a leaf of a new group while the block runs; then remove what is left of it."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = {line.split(":")[1]: line.split(":", 2)[2] for line in lines}
    before = top / own.get(top.name if top != TOP else "", "/").lstrip("/")
    group = top / title
    leaf = group / "tests"
    leaf.mkdir(parents=True)
    if top == TOP:
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in CONTROLLERS))
    group.chmod(0o777)
    for file in OPEN:
        if (group / file).exists():
            (group / file).chmod(0o666)
    (leaf / "cgroup.procs").write_text("0")
    try:
        yield
    finally:
        (before / "cgroup.procs").write_text("0")
        for name, _, _ in os.walk(group, topdown=False):
            os.rmdir(name)


def main() -> int:
    if os.getuid() != 0 or len(sys.argv) < 2:
        raise SystemExit("usage, as root: delegated.py COMMAND...")
    name = f"piku-test-{secrets.token_hex(3)}"
    with contextlib.ExitStack() as stack:
        for top in hierarchies():
            stack.enter_context(entered(top, name))
        return subprocess.run(sys.argv[1:], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
