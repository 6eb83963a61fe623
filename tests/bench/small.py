"""Run a command as on a small board, in a cgroup of its own: small.py COMMAND... (as root)

A quarter of one core, and 256 MB for all that it starts, with what they have read of files.
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
# Short periods: with the usual 100 ms, everything would take a multiple of that.
OF_VERSION_1 = {
    "cpu/cpu.cfs_period_us": "20000", "cpu/cpu.cfs_quota_us": "5000",
    "memory/memory.limit_in_bytes": "256M",
}  # fmt: skip
OF_VERSION_2 = {"cpu.max": "5000 20000", "memory.max": "256M"}


def main(command: list[str]) -> int:
    """Returns the command's exit code."""
    limits = OF_VERSION_2 if (ROOT / "cgroup.controllers").exists() else OF_VERSION_1
    own = f"piku-board-{os.getpid()}"
    groups = sorted({(ROOT / name).parent / own for name in limits})
    for group in groups:
        group.mkdir()
    try:
        for name, value in limits.items():
            (ROOT / name).parent.joinpath(own, Path(name).name).write_text(value)
        enter = "".join(f"echo $$ >{group}/cgroup.procs; " for group in groups)
        return subprocess.run(["sh", "-c", f'{enter}exec "$@"', "sh", *command]).returncode
    finally:
        for group in groups:
            group.rmdir()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
