"""Run a command in a cgroup whose subtree anybody may use: delegated.py COMMAND...

As systemd does with Delegate=yes, for tests. The command runs in a leaf of it called "tests".
"""

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TOP = Path("/sys/fs/cgroup")
CONTROLLERS = "+memory +cpu +pids"
OPEN = ("cgroup.procs", "cgroup.threads", "cgroup.subtree_control")


@contextlib.contextmanager
def entered(group: Path) -> Iterator[None]:
    """Be in a leaf of a new group while the block runs; then remove what is left of it."""
    before = TOP / Path("/proc/self/cgroup").read_text().strip().partition("::/")[2]
    (TOP / "cgroup.subtree_control").write_text(CONTROLLERS)
    leaf = group / "tests"
    leaf.mkdir(parents=True)
    (group / "cgroup.subtree_control").write_text(CONTROLLERS)
    group.chmod(0o777)
    for file in OPEN:
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
    with entered(TOP / f"piku-test-{secrets.token_hex(3)}"):
        return subprocess.run(sys.argv[1:], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
