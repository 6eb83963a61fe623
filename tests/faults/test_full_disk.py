"""The disk is full, at each step of a deploy and under each command that changes something.

full_disk.py has the tests: they run where all that they write is on a disk of their own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.namespaces import needed, on_small_disk


@needed
@pytest.mark.timeout(400)
def test_full_disk(base: Path) -> None:
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    inside = Path(__file__).with_name("full_disk.py")
    done = subprocess.run(
        on_small_disk(base, "48m,nr_inodes=6000", *command, str(inside)),
        env={**os.environ, "TMPDIR": str(base)},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
