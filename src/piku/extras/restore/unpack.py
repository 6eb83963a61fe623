"""Unpacking a backup, from a file or a stream, into a folder of its own, and checking it whole.

The extra `backup` writes it (docs/adr/0052-backups.md).
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import IO, Any

from piku import files, subprocesses
from piku.errors import PikuError

_FORMAT = 1  # the newest that we can read
_HEAD, _END = "backup.json", "end.json"
_FOLDERS = {"settings", "certificates", "repository", "data", "dumps"}
_CHUNK = 1 << 20  # bytes
# The first bytes of what we read, and the program that reads it.
_FORMATS = {b"\x28\xb5\x2f\xfd": ("zstd", "-dcq"), b"\x1f\x8b": ("gzip", "-dcq")}
_ENCRYPTED = (b"age-encryption", b"-----BEGIN", b"\x85", b"\x84", b"\xc1")  # by age or gpg


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a backup is of, and which version of what made it. `created` in seconds of the epoch,
    `data` its data folder there; without a commit the app was never live."""

    format: int
    app: str
    piku: str
    created: float
    data: str
    branch: str
    release: int
    commit: str


def unpack(source: io.BufferedReader, folder: Path, accept: Callable[[Head], None]) -> Head:
    """Unpack a backup into an empty folder; raises PikuError unless it has arrived whole. `accept`
    gets what it is of before the rest is read, and may refuse it."""
    try:
        with opened(source) as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            return _members(tar, folder, accept)
    except (tarfile.TarError, EOFError, ValueError, FileExistsError, NotADirectoryError) as error:
        raise damaged() from error


def damaged() -> PikuError:
    return PikuError(
        "the backup is damaged, or its end is missing",
        hint="nothing was changed; take another copy of it, or an earlier one",
    )


@contextlib.contextmanager
def opened(source: io.BufferedReader) -> Iterator[IO[bytes]]:
    """What is in a compressed file; raises PikuError when this is none, or not whole."""
    start = source.peek(16)
    argv = next((argv for magic, argv in _FORMATS.items() if start.startswith(magic)), None)
    if argv is None:
        if start.startswith(_ENCRYPTED):
            hint = "decrypt it where its key is: age -d -i KEY FILE | ssh piku@server restore -"
            raise PikuError("the backup is encrypted", hint=hint)
        raise damaged() if not start else PikuError("this is not a backup that piku made")
    if subprocesses.which(argv[0]) is None:
        raise PikuError(f"{argv[0]} is not installed", hint=f"apt-get install {argv[0]}")
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin and process.stdout
    threading.Thread(target=_feed, args=(source, process.stdin), daemon=True).start()
    try:
        with process.stdout as stream:
            yield stream
            while stream.read(_CHUNK):  # what follows the end must be sound as well
                pass
        if process.wait():
            raise damaged()
    finally:
        process.kill()
        process.wait()


def _feed(source: io.BufferedReader, program: IO[bytes]) -> None:
    # Who has refused the backup has closed its file.
    with contextlib.suppress(BrokenPipeError, ValueError), program:
        shutil.copyfileobj(source, program, _CHUNK)


def _members(tar: Any, folder: Path, accept: Callable[[Head], None]) -> Head:
    digest, found, later = hashlib.sha256(), None, list[tuple[tarfile.TarInfo, Path]]()
    while info := tar.next():
        tar.members.clear()
        source = tar.extractfile(info) if info.isreg() else None
        if info.name == _END and source and found:
            if json.loads(source.read(_CHUNK))["sha256"] != digest.hexdigest():
                raise damaged()
            _finish(later)
            return found
        digest.update(_line(info))
        if found is None:
            if info.name != _HEAD or source is None:
                raise PikuError("this is not a backup that piku made")
            digest.update(text := source.read(_CHUNK))
            found = _head(text)
            accept(found)
            continue
        place = folder / _checked(info.name)
        later.append((info, place)) if not info.isreg() else None
        if source:
            _write(place, info, source, digest.update)
        elif info.isdir():
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        elif not info.issym():
            raise damaged()
    raise damaged()


def _head(text: bytes) -> Head:
    values = json.loads(text)
    if values["format"] > _FORMAT:
        what = f"the backup was made by piku {values['piku']}, which is newer than this one"
        raise PikuError(what, hint="update this server first: piku update; nothing was changed")
    return Head(**{field.name: values[field.name] for field in fields(Head)})


def _checked(name: str) -> str:
    """A path within the folder that it is unpacked to; raises ValueError for any other."""
    parts = PurePosixPath(name).parts
    if ".." in parts or not parts or parts[0] not in _FOLDERS:
        raise ValueError(name)
    return name


def _write(
    place: Path, info: tarfile.TarInfo, source: IO[bytes], seen: Callable[[bytes], None]
) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with place.open("xb") as file:
        while data := source.read(_CHUNK):
            seen(data)
            file.write(data)
    place.chmod(info.mode & 0o777)
    os.utime(place, (info.mtime, info.mtime))


def _finish(later: Sequence[tuple[tarfile.TarInfo, Path]]) -> None:
    """Links, through which nothing was written, and the modes of folders, from within outwards."""
    for info, place in later:
        if info.issym():
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.symlink_to(info.linkname)
    for info, place in reversed(later):
        if info.isdir():
            place.chmod(info.mode & 0o777)


def joined(parts: Path) -> Path:
    """The one file that the parts of a program's output make, in the place of the first."""
    first, *others = sorted(parts.iterdir())
    with first.open("ab") as whole:
        for part in others:
            with part.open("rb") as source:
                shutil.copyfileobj(source, whole, _CHUNK)
            files.remove(part)
    return first


def _line(info: tarfile.TarInfo) -> bytes:
    parts = (info.name, info.type.decode(), f"{info.mode:o}", info.linkname, str(info.size))
    return "\0".join(parts).encode(errors="surrogateescape")
