"""Packages of this checkout, also of versions to come."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import deb


def build(target: Path, version: str = "", *, appended: Mapping[str, str] | None = None) -> Path:
    """Build the package into a folder, of another version, with these texts appended to files."""
    with tempfile.TemporaryDirectory(prefix="piku-deb-") as parent:
        source = Path(parent, "piku")
        deb.copy(source)
        if version:
            _number(source, version)
        for name, text in (appended or {}).items():
            with (source / name).open("a") as file:
                file.write(text)
        return deb.build(source, target)


def _number(source: Path, version: str) -> None:
    init, log = source / "src/piku/__init__.py", source / "debian/changelog"
    init.write_text(
        re.sub(r'__version__ = "[^"]+"', f'__version__ = "{version}"', init.read_text())
    )
    signature = re.search(r"^ -- .*$", log.read_text(), re.MULTILINE)
    assert signature is not None
    head = f"piku ({version}) unstable; urgency=medium\n\n  * Built for a test.\n\n"
    log.write_text(f"{head}{signature[0]}\n\n{log.read_text()}")
