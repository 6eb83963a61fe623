"""A package that is installed, as a file again: what one goes back to when a newer one does not work.

dpkg keeps no copy of what it has installed, and no archive may have that version any more.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from piku import files, subprocesses

# What dpkg notes of its own accord, and would refuse in a package.
_NOTES = re.compile(r"^(Status|Conffiles|Config-Version):.*\n(?:[ \t].*\n)*", re.MULTILINE)


def package(name: str, target: Path, pristine: Mapping[str, Path]) -> Path:
    """Write the package as it is installed to `target`, and return that.

    A configuration file is taken from where `pristine` says, as the package had it: if it came with what
    people made of it, dpkg would take that for unchanged, and replace it with the next version's.
    """
    with files.temporary_folder(target.parent, target.name) as parent:
        place = Path(parent, name)
        _copy_files(name, place, pristine)
        _copy_control(name, place / "DEBIAN")
        subprocesses.run(["dpkg-deb", "--root-owner-group", "--build", str(place), str(target)])
    return target


def _copy_files(name: str, place: Path, pristine: Mapping[str, Path]) -> None:
    # A line that is no path tells of a diversion.
    listed = [
        line for line in subprocesses.run(["dpkg-query", "-L", name]).splitlines() if line[0] == "/"
    ]
    # /lib is a link on today's machines: what others lie in is a folder all the same.
    parents = {str(parent) for line in listed for parent in Path(line).parents}
    for line in listed:
        source, copy = pristine.get(line, Path(line)), place / Path(line).relative_to("/")
        if line in parents or (source.is_dir() and not source.is_symlink()):
            copy.mkdir(parents=True, exist_ok=True)
            copy.chmod(0o755)
        elif (
            source.exists() or source.is_symlink()
        ):  # small machines leave out manual pages and the like
            shutil.copy2(source, copy, follow_symlinks=False)


def _copy_control(name: str, folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o755)
    fields = _NOTES.sub("", subprocesses.run(["dpkg-query", "-s", name]))
    files.write(folder / "control", fields)
    # dpkg does not list this one, and without it would replace what people made of their configuration.
    rows = subprocesses.run(["dpkg-query", "-W", "-f", "${Conffiles}", name]).splitlines()
    kept = [row.split()[0] for row in rows if row.strip() and not row.endswith(" obsolete")]
    files.write(folder / "conffiles", "".join(f"{path}\n" for path in kept))
    for file in subprocesses.run(["dpkg-query", "--control-list", name]).split():
        text = subprocesses.run(["dpkg-query", "--control-show", name, file])
        files.write(folder / file, text, mode=0o755 if text.startswith("#!") else 0o644)
