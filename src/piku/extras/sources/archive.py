"""A tar archive of an app's files becomes a commit.

Nothing is extracted: git's fast-import gets the members as they come.
"""

import gzip
import posixpath
import shutil
import subprocess
import tarfile
import tempfile
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO

from piku import subprocesses
from piku.errors import PikuError
from piku.extras.sources import incoming
from piku.extras.sources.incoming import Incoming

_SPARE = 200 << 20  # bytes of the disk that no archive may take: the apps need them
_LONGEST = 1 << 20  # bytes of a header: names, links and what pax has to say
_GZIP = b"\x1f\x8b"
# The last two are what tarfile makes of headers with numbers that are none, or thousands in a row.
_BROKEN = (
    tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, RecursionError,
)  # fmt: skip
_KINDS = (
    (tarfile.TarInfo.islnk, "a hard link", "store it as a file of its own: tar --hard-dereference"),
    (tarfile.TarInfo.isdev, "a device or pipe", "leave it out: tar --exclude"),
)


class _Header(tarfile.TarInfo):
    """A header whose extensions, which tarfile reads at once, are not larger than memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if not (self.isreg() or self.isdir()) and self.size > _LONGEST:
            raise tarfile.ReadError(f"a header has {self.size >> 20} MB")
        member: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return member


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file or link of the archive, whose content git has under a number."""

    mode: str
    number: int
    target: str = ""  # of a link


def commit(repository: Path, file: BufferedReader, parent: str, by: str) -> Incoming:
    """Make a commit of a tar or tar.gz; raises PikuError for what is unsafe or broken in it."""
    with tempfile.TemporaryFile() as errors:
        argv = ["git", "-C", str(repository), "fast-import", "--quiet"]
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stderr=errors, env=subprocesses.environment()
        )
        assert process.stdin is not None
        try:
            with process.stdin as sink:
                entries, label = _read(file, sink, repository)
                _write_commit(sink, _stripped(entries), parent, by, label)
            status = process.wait()
        except BrokenPipeError:
            status = process.wait() or 1
        except _BROKEN as error:
            hint = "make it so: tar -cz . | … --archive -"
            raise PikuError(f"this is not a whole tar or tar.gz: {error}", hint=hint) from None
        finally:
            process.kill()
            process.wait()
        if status:
            errors.seek(0)
            said = errors.read(4000).decode(errors="replace").splitlines()
            raise PikuError("git could not store the archive", detail=tuple(said[:3]))
    return incoming.arrived(repository)


def _read(file: BufferedReader, sink: IO[bytes], disk: Path) -> tuple[dict[str, Entry], str]:
    """Hand the contents to git; returns the entries by path, and the commit that the archive says
    it is of, if any."""
    source: IO[bytes] = file
    if file.peek(2)[:2] == _GZIP:
        source = gzip.GzipFile(fileobj=file)  # type: ignore[assignment]
    entries: dict[str, Entry] = {}
    total = 0
    with tarfile.open(fileobj=source, mode="r|", errors="surrogateescape", tarinfo=_Header) as tar:
        for number, member in enumerate(tar, 1):
            path = _path(member)
            if member.isdir() or not path:
                continue
            _check_kind(member)
            total += member.size
            if total > shutil.disk_usage(disk).free - _SPARE:
                raise PikuError("the archive holds more than this server's disk has room for")
            if member.issym():
                content = member.linkname.encode(errors="surrogateescape")
                sink.write(b"blob\nmark :%d\ndata %d\n%b\n" % (number, len(content), content))
                entries[path] = Entry(mode="120000", number=number, target=member.linkname)
                continue
            sink.write(b"blob\nmark :%d\ndata %d\n" % (number, member.size))
            content_file = tar.extractfile(member)
            assert content_file is not None
            shutil.copyfileobj(content_file, sink)
            sink.write(b"\n")
            mode = "100755" if member.mode & 0o100 else "100644"
            entries[path] = Entry(mode=mode, number=number)
        label = str(tar.pax_headers.get("comment", ""))[:8]  # of `git archive`
    while source.read(65536):
        pass  # to the checksum at the end
    if not entries:
        raise PikuError("the archive has no files")
    return entries, label


def _path(member: tarfile.TarInfo) -> str:
    """The member's path below the top folder; nothing for what is git's own, or the top itself."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    if member.name.startswith("/") or ".." in parts or "\0" in member.name:
        raise PikuError(
            f"the archive has a path that leads out of it: {member.name[:80]!r}",
            hint="make it in the app's folder: tar -cz .",
        )
    return "" if any(part.lower() == ".git" for part in parts) else "/".join(parts)


def _check_kind(member: tarfile.TarInfo) -> None:
    for is_kind, what, hint in _KINDS:
        if is_kind(member):
            raise PikuError(f"the archive has {what}: {member.name[:80]!r}", hint=hint)
    if not member.isreg() and not member.issym():
        raise PikuError(f"the archive has something that is no file: {member.name[:80]!r}")


def _stripped(entries: dict[str, Entry]) -> dict[str, Entry]:
    """The entries without the one folder that holds them all, as in GitHub's archives; raises
    PikuError for a link that leads out."""
    tops = {path.partition("/")[0] for path in entries}
    if len(tops) == 1 and all("/" in path for path in entries):
        entries = {path.partition("/")[2]: entry for path, entry in entries.items()}
    for path, entry in entries.items():
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.target))
        if entry.target and (target.startswith(("/", "../")) or target == ".."):
            raise PikuError(
                f"the archive has a link that leads out of it: {path[:80]!r}",
                hint="store what it points to: tar --dereference",
            )
    return entries


def _write_commit(
    sink: IO[bytes], entries: dict[str, Entry], parent: str, by: str, label: str
) -> None:
    subject = f"Archive of {label or f'{len(entries)} files'}, by {by}".encode()
    sink.write(b"commit %b\n" % incoming.FETCHED.encode())
    sink.write(b"committer piku <piku@localhost> %d +0000\n" % time.time())
    sink.write(b"data %d\n%b\n" % (len(subject), subject))
    if parent:
        sink.write(b"from %b\ndeleteall\n" % parent.encode())
    sink.writelines(_lines(entries))


def _lines(entries: dict[str, Entry]) -> Iterable[bytes]:
    for path, entry in entries.items():
        quoted = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        line = f'M {entry.mode} :{entry.number} "{quoted}"\n'
        yield line.encode(errors="surrogateescape")
