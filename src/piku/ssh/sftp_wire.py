"""SFTP's packets as bytes: what sftp.py reads and writes, protocol version 3.

"Section" means a section of draft-ietf-secsh-filexfer-02.
"""

from __future__ import annotations

import enum
import errno
import grp
import os
import pwd
import stat
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

INIT, VERSION, STATUS, HANDLE, DATA, NAME, ATTRS, EXTENDED_REPLY = (
    1,
    2,
    101,
    102,
    103,
    104,
    105,
    201,
)

LARGEST_PACKET = 257 * 1024  # bytes; OpenSSH's clients stop at 256 KiB
_HALF_A_YEAR = 182 * 24 * 3600  # seconds; ls shows the year instead of the hour beyond it

Reply = tuple[int, bytes]  # packet type, and what follows the request's id


class Code(enum.IntEnum):
    """Status codes (section 7)."""

    OK = 0
    EOF = 1
    NO_SUCH_FILE = 2
    PERMISSION_DENIED = 3
    FAILURE = 4
    UNSUPPORTED = 8


CODES: Final[Mapping[int | None, Code]] = {
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.ELOOP), Code.NO_SUCH_FILE),
    **dict.fromkeys((errno.EACCES, errno.EPERM), Code.PERMISSION_DENIED),
    **dict.fromkeys((errno.ENOSYS, errno.EOPNOTSUPP), Code.UNSUPPORTED),
}


class MalformedError(Exception):
    """The stream is not SFTP, or was cut: nothing after it can be trusted."""


@dataclass(frozen=True, kw_only=True)
class Attrs:
    """File attributes a client sent (section 5); None where it sent none. Times in whole seconds."""

    size: int | None = None
    owner: tuple[int, int] | None = None
    permissions: int | None = None
    times: tuple[int, int] | None = None

    def mode(self, default: int) -> int:
        """Permission bits for something new; the set-id bits never come from a client."""
        return default if self.permissions is None else self.permissions & 0o777

    def apply(self, target: int | Path) -> None:
        """Set them on an open file, or on a path that holds no link (section 6.9). Raises OSError."""
        if self.size is not None:
            os.truncate(target, self.size)
        if self.permissions is not None:
            os.chmod(target, self.mode(0))
        if self.times is not None:
            os.utime(target, self.times)
        if self.owner is not None:
            os.chown(target, *self.owner)


class Fields:
    """Takes the fields of one packet in turn (section 3); a field past the end is malformed."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise MalformedError
        return self._data[start : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def uint32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def uint64(self) -> int:
        return int.from_bytes(self.take(8), "big")

    def string(self) -> bytes:
        return self.take(self.uint32())

    def attrs(self) -> Attrs:
        flags = self.uint32()  # extended pairs (the top bit) come last and mean nothing here
        return Attrs(
            size=self.uint64() if flags & 1 else None,
            owner=(self.uint32(), self.uint32()) if flags & 2 else None,
            permissions=self.uint32() if flags & 4 else None,
            times=(self.uint32(), self.uint32()) if flags & 8 else None,
        )


def receive(requests: BinaryIO) -> bytes | None:
    """The next packet (section 3), or None where the stream ends between two."""
    head = _read(requests, 4)
    if not head:
        return None
    size = int.from_bytes(head, "big")
    if len(head) < 4 or not 1 <= size <= LARGEST_PACKET:
        raise MalformedError
    packet = _read(requests, size)
    if len(packet) < size:
        raise MalformedError
    return packet


def _read(requests: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end of the stream: a raw stream may give less than was asked."""
    data = requests.read(size)
    while data and len(data) < size and (more := requests.read(size - len(data))):
        data += more
    return data


def send(replies: BinaryIO, packet: bytes) -> None:
    replies.write(struct.pack(">I", len(packet)) + packet)
    replies.flush()


def string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def status(code: Code, message: str = "") -> Reply:
    text = message or code.name.replace("_", " ").capitalize()
    return STATUS, struct.pack(">I", code) + string(text.encode(errors="replace")) + string(b"en")


def attrs(info: os.stat_result) -> bytes:
    """Attributes as section 5 lays them out: all but the extended ones."""
    ids = info.st_uid, info.st_gid, info.st_mode
    return struct.pack(
        ">IQ5I", 0xF, info.st_size, *ids, _seconds(info.st_atime), _seconds(info.st_mtime)
    )


def _seconds(moment: float) -> int:
    return min(max(int(moment), 0), 0xFFFFFFFF)


def longname(name: bytes, info: os.stat_result) -> bytes:
    """A line as `ls -l` writes it (section 7)."""
    moment = _seconds(info.st_mtime)
    form = "%b %e %H:%M" if abs(time.time() - moment) < _HALF_A_YEAR else "%b %e  %Y"
    try:
        owner = pwd.getpwuid(info.st_uid).pw_name
    except KeyError:
        owner = str(info.st_uid)
    try:
        group = grp.getgrgid(info.st_gid).gr_name
    except KeyError:
        group = str(info.st_gid)
    line = (
        f"{stat.filemode(info.st_mode)} {info.st_nlink:>4} {owner:<8} {group:<8} {info.st_size:>8} "
    )
    return (line + time.strftime(form, time.localtime(moment)) + " ").encode() + name


def one_name(path: str) -> Reply:
    """A NAME reply of one path and no attributes, as REALPATH and READLINK want it."""
    name = string(os.fsencode(path))
    return NAME, struct.pack(">I", 1) + name + name + struct.pack(">I", 0)
