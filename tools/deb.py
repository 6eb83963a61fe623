"""Build the Debian package of this checkout: deb.py [FOLDER]; prints where it is."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import checkout


def copy(folder: Path) -> None:
    """Copy the source there."""
    checkout.copy(folder, without=("tests/", "build/", "dist/"))


def build(source: Path, target: Path) -> Path:
    """Build that source into a folder; returns the package. It is made beside the source."""
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
