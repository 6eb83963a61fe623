"""Build dist/piku: one executable file that has piku and click in it, for machines with Python alone.

Its bytes depend on the sources alone, so that the same version is the same file wherever it was built.
"""

from __future__ import annotations

import importlib.metadata
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
TARGET = CHECKOUT / "dist" / "piku"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can tell
_MAIN = """\
import sys
if sys.version_info < (3, 11):
    sys.exit(" !     piku needs Python 3.11 or newer, and this is %d.%d" % sys.version_info[:2])
from piku.__main__ import main
main()
"""


def files() -> Iterator[tuple[str, bytes]]:
    """Every file, by its name in the archive."""
    yield "__main__.py", _MAIN.encode()
    for path in sorted((CHECKOUT / "src" / "piku").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(path.relative_to(CHECKOUT / "src")), path.read_bytes()
    # click as it is installed beside us, with its licence.
    for file in importlib.metadata.files("click") or ():
        if file.suffix == ".py" or "LICENSE" in file.name:
            yield str(file), file.read_binary()


def build(target: Path) -> None:
    """Write the file; an executable zip archive is what Python calls a zipapp."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        out.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files():
                info = zipfile.ZipInfo(name, _LONG_AGO)
                info.compress_type = zipfile.ZIP_DEFLATED
                info.external_attr = 0o644 << 16
                archive.writestr(info, content)
    target.chmod(0o755)


def main() -> int:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET
    build(target)
    print(
        f"{target}: {target.stat().st_size // 1024} kB, with click {importlib.metadata.version('click')}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
