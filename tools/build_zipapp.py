"""Build dist/piku: one executable file with piku and click, for machines with Python alone."""

import importlib.metadata
import os
import shutil
import sys
import tempfile
import zipapp
from pathlib import Path

from checkout import CHECKOUT

_MAIN = """\
import sys
if sys.version_info < (3, 11):
    sys.exit(" !     piku needs Python 3.11 or newer, and this is %d.%d" % sys.version_info[:2])
from piku.__main__ import main
main()
"""


def build(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "__main__.py").write_text(_MAIN)
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CHECKOUT / "src/piku", folder / "piku", ignore=unwanted)
        # click as it is installed beside us, with its licence.
        for file in importlib.metadata.files("click") or ():
            if file.suffix == ".py" or "LICENSE" in file.name:
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), folder / file)
        for path in folder.rglob("*"):  # the same bytes whenever it is built
            os.utime(path, (2**30, 2**30))
        zipapp.create_archive(folder, target, "/usr/bin/env python3", compressed=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKOUT / "dist/piku")
