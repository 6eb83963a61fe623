"""Build the Debian package of what git tracks or would track: deb.py [FOLDER]; prints where it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("tests/", "build/", "dist/")


def copy(folder: Path) -> None:
    """Copy the source there."""
    trust = ["-c", f"safe.directory={CHECKOUT}", "-c", "core.fsmonitor=false"]
    listing = ["git", *trust, "-C", str(CHECKOUT), "ls-files", "-co", "--exclude-standard"]
    done = subprocess.run(listing, check=True, stdout=subprocess.PIPE, text=True)
    for name in sorted(set(done.stdout.splitlines())):
        if (CHECKOUT / name).is_file() and not name.startswith(LEFT_OUT):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, folder / name)


def build(source: Path, target: Path) -> Path:
    """Build that source into a folder; returns the package. What was made lies beside the source, too."""
    # The same files come out whoever builds, wherever and whenever.
    kept = {name: os.environ[name] for name in ("SOURCE_DATE_EPOCH",) if name in os.environ}
    clean = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["dpkg-buildpackage", "--build=binary", "--unsigned-changes", "--no-sign"],
        check=False, cwd=source, env={**clean, **kept}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{done.stdout}\ndeb: the package cannot be built, see above")
    target.mkdir(parents=True, exist_ok=True)
    for made in source.parent.glob("piku_*"):
        shutil.copyfile(made, target / made.name)
    [package] = source.parent.glob("piku_*.deb")
    return target / package.name


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="piku-deb-") as parent:
        copy(Path(parent, "piku"))
        print(build(Path(parent, "piku"), Path(*sys.argv[1:] or ["dist"])))
