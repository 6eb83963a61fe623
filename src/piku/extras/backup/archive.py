"""The file of a backup, written as a stream: a compressed tar, whose last member has a checksum of
all before it (docs/adr/0052-backups.md). The extra `restore` reads it."""

import contextlib
import hashlib
import io
import itertools
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from typing import IO, BinaryIO

from piku import subprocesses
from piku.errors import PikuError

FORMAT = 1  # grows when an older piku could not restore what a newer one writes
HEAD, END = "backup.json", "end.json"
_CHUNK, _PART = 1 << 20, 16 << 20  # bytes


class Writer:
    """Writes members one after the other, and shows on a terminal how much that is."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._sum = stream, hashlib.sha256()
        self._size, self._shown = 0, time.monotonic()

    def add(self, info: tarfile.TarInfo, source: BinaryIO | None = None) -> None:
        """A member, and what it holds: as much as it was said to, whatever becomes of the file."""
        self._sum.update(_line(info))
        # The errors of names are those of the file system: any byte comes back as it was.
        self._stream.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
        left = info.size
        while source and left:
            data = source.read(min(left, _CHUNK)) or bytes(min(left, _CHUNK))
            left -= len(data)
            self._sum.update(data)
            self._stream.write(data)
            self._progress(len(data))
        self._stream.write(bytes(-info.size % tarfile.BLOCKSIZE))

    def _progress(self, size: int) -> None:
        self._size += size
        if time.monotonic() > self._shown + 0.5 and os.isatty(2):
            self._shown = time.monotonic()
            print(f"       {self._size / 1e6:.0f} MB", end="\r", file=sys.stderr, flush=True)

    def content(self, name: str, content: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o600
        self.add(info, io.BytesIO(content))

    def output(self, name: str, argv: Sequence[str]) -> None:
        """What a program prints, of whatever length: in parts, as a tar has the size first."""
        variables = subprocesses.environment()
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env=variables) as process:
            assert process.stdout
            for number in itertools.count():
                part = process.stdout.read(_PART)
                if number and not part:
                    break
                self.content(f"{name}/{number:08}", part)
        if process.returncode:
            raise subprocesses.ProgramFailed(argv, process.returncode, "")

    def end(self) -> None:
        self.content(END, json.dumps({"sha256": self._sum.hexdigest()}).encode())
        self._stream.write(bytes(tarfile.RECORDSIZE))


def _line(info: tarfile.TarInfo) -> bytes:
    parts = (info.name, info.type.decode(), f"{info.mode:o}", info.linkname, str(info.size))
    return "\0".join(parts).encode(errors="surrogateescape")


def has_zstd() -> bool:
    return subprocesses.which("zstd") is not None


@contextlib.contextmanager
def compressed(out: int) -> Iterator[IO[bytes]]:
    """A stream that is compressed into `out`, an open file."""
    argv = ["zstd" if has_zstd() else "gzip", "-q"]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=out, stderr=pipe) as process:
        assert process.stdin and process.stderr
        try:
            yield process.stdin
            process.stdin.close()
        except BaseException as error:
            process.kill()  # a part must not look whole
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            if not isinstance(error, BrokenPipeError):  # then it ended first, and has said why
                raise
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        why = said.rpartition("\n")[2] or f"{argv[0]} failed"
        raise PikuError(f"the backup cannot be written: {why}")
