"""Build the Debian package: deb.py [--version VERSION] [FOLDER]; prints where it is (FOLDER/piku_VERSION_all.deb).

It is built from a copy of what git tracks or would track. With another version than the source's it is what an
upgrade to or from that version would be: for tests.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LEFT_OUT = ("tests/", "build/", "dist/")


class BuildError(Exception):
    """The package cannot be built; says why."""


def sources() -> list[str]:
    """The files that the package is built from, relative to the checkout."""
    trust = ["-c", f"safe.directory={CHECKOUT}", "-c", "core.fsmonitor=false"]
    listing = ["git", *trust, "-C", str(CHECKOUT), "ls-files", "-co", "--exclude-standard"]
    names = subprocess.run(listing, check=True, capture_output=True, text=True).stdout.splitlines()
    return sorted(
        {name for name in names if (CHECKOUT / name).is_file() and not name.startswith(LEFT_OUT)}
    )


def version_of(init: Path) -> str:
    found = re.search(r'__version__ = "([^"]+)"', init.read_text())
    if not found:
        raise BuildError(f"{init} has no __version__")
    return found[1]


def copy(folder: Path) -> None:
    """Copy the source there."""
    for name in sources():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, folder / name)


def prepare(folder: Path, version: str | None) -> str:
    """Copy the source there, return its version."""
    copy(folder)
    init, log = folder / "src/piku/__init__.py", folder / "debian/changelog"
    own = version_of(init)
    newest = re.match(r"piku \(([^)]+)\)", log.read_text())
    if not newest or newest[1] != own:
        raise BuildError(
            f"debian/changelog begins with another version than {own}, which src/piku/__init__.py has"
        )
    if version and version != own:
        init.write_text(init.read_text().replace(own, version))
        entry = log.read_text().partition("\n\n")
        signature = re.search(r"^ -- .*$", log.read_text(), re.MULTILINE)
        assert signature is not None
        new = f"piku ({version}) unstable; urgency=medium\n\n  * Built for a test.\n\n{signature[0]}\n\n"
        log.write_text(new + "".join(entry))
    return version or own


def build(
    target: Path, version: str | None = None, *, appended: Mapping[str, str] | None = None
) -> Path:
    """Build the package into the folder `target`; returns its file. To files of the source this is `appended`."""
    with tempfile.TemporaryDirectory(prefix="piku-deb-") as parent:
        folder = Path(parent, "piku")
        built = prepare(folder, version)
        for name, text in (appended or {}).items():
            with (folder / name).open("a") as file:
                file.write(text)
        done = subprocess.run(
            ["dpkg-buildpackage", "--build=binary", "--unsigned-changes", "--no-sign"], check=False,
            cwd=folder, env=_clean(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        if done.returncode:
            raise BuildError(done.stdout.decode(errors="replace"))
        target.mkdir(parents=True, exist_ok=True)
        for made in Path(parent).glob(f"piku_{built}_*"):
            shutil.copyfile(made, target / made.name)
    return target / f"piku_{built}_all.deb"


def lint(changes: Path) -> list[str]:
    """What Debian's own checker says of it."""
    done = subprocess.run(
        ["lintian", "--allow-root", "--tag-display-limit", "0", str(changes)],
        check=False,
        capture_output=True,
        text=True,
    )
    return (done.stdout + done.stderr).splitlines()


def _clean() -> dict[str, str]:
    # The same files come out whoever builds, wherever and whenever.
    kept = {name: os.environ[name] for name in ("SOURCE_DATE_EPOCH",) if name in os.environ}
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        **kept,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the Debian package.")
    parser.add_argument("folder", nargs="?", type=Path, default=CHECKOUT / "dist")
    parser.add_argument("--version", help="another version than that of the source")
    given = parser.parse_args()
    try:
        place = build(given.folder.absolute(), given.version)
    except BuildError as error:
        print(f"deb: {error}", file=sys.stderr)
        return 1
    with contextlib.suppress(ValueError):
        place = place.relative_to(Path.cwd())
    print(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
