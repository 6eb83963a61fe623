"""The disk is full, and its owner is told. full_disk.py has the test, on a disk of its own."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.faults.namespaces import needed, on_small_disk


@needed
def test_full_disk() -> None:
    with tempfile.TemporaryDirectory(prefix="d-") as base:
        command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        inside = Path(__file__).with_name("full_disk.py")
        done = subprocess.run(
            on_small_disk(Path(base), "250m", *command, str(inside)),
            env={**os.environ, "TMPDIR": base},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
