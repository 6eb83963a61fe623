"""Layers as tar archives: the same files give the same bytes, whoever made them and when."""

import io
import os
import tarfile
from collections.abc import Container
from pathlib import Path


class Layer:
    """A layer that is being written to `file`. All that is in it belongs to the user that runs the
    app, as on the server. Folders have no time: each file that comes and goes changes it."""

    def __init__(self, file: Path) -> None:
        self._tar = tarfile.open(file, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self.close = self._tar.close

    def folder(self, place: Path) -> None:
        self._new(place, tarfile.DIRTYPE, 0o755)

    def link(self, place: Path, target: Path) -> None:
        self._new(place, tarfile.SYMTYPE, 0o777, target=str(target))

    def text(self, place: Path, text: str, mode: int = 0o644) -> None:
        self._new(place, tarfile.REGTYPE, mode, text.encode(errors="surrogateescape"))

    def tree(self, folder: Path, left_out: Container[str] = ()) -> None:
        """A folder with all that is below it but these names and paths, at its own place."""

        def kept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
            if f"/{entry.name}" in left_out or Path(entry.name).name in left_out or entry.isdev():
                return None
            # A fraction of a second would take a record of its own.
            entry.mtime = 0 if entry.isdir() else int(entry.mtime)
            return _owned(entry)

        self._tar.add(folder, filter=kept)

    def _new(
        self, place: Path, kind: bytes, mode: int, content: bytes = b"", target: str = ""
    ) -> None:
        entry = tarfile.TarInfo(str(place).lstrip("/"))
        entry.type, entry.mode, entry.linkname, entry.size = kind, mode, target, len(content)
        self._tar.addfile(_owned(entry), io.BytesIO(content))


def _owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid, entry.gid, entry.uname, entry.gname = os.getuid(), os.getgid(), "", ""
    return entry
