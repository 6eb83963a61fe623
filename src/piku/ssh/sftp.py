"""An SFTP server confined to the piku root: protocol version 3, draft-ietf-secsh-filexfer-02.

sftp, modern scp and sshfs speak it through sshd's subsystem. "Section" below means the draft's sections.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from piku.errors import PikuError
from piku.ssh import sftp_wire as wire
from piku.ssh.confine import confine
from piku.ssh.sftp_wire import Code, Fields, MalformedError, Reply

_LARGEST_CHUNK = 255 * 1024  # bytes of one READ or WRITE, so that it fits a packet of 256 KiB
_MOST_HANDLES = 64
_NAMES_PER_REPLY = 100  # at most 255 bytes a name, twice, so well within a packet
_EXCLUSIVE = 0x20
_ACCESS: Final = {2: os.O_WRONLY, 3: os.O_RDWR}
_OPEN_FLAGS: Final = (
    (0x04, os.O_APPEND),
    (0x08, os.O_CREAT),
    (0x10, os.O_TRUNC),
    (_EXCLUSIVE, os.O_EXCL),
)


def serve(root: Path, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer one client until it leaves, touching nothing outside `root`. `replies` is buffered.

    What the file system or the confinement refuses becomes a status for the client; a malformed packet,
    or one over 257 KiB, ends the session without a word, and so does a client that is gone.
    """
    session = _Session(root)
    try:
        _greet(requests, replies)
        while packet := wire.receive(requests):
            wire.send(replies, session.answer(Fields(packet)))
    except (MalformedError, ConnectionError):
        return
    finally:
        session.leave()


def _greet(requests: BinaryIO, replies: BinaryIO) -> None:
    """INIT and VERSION (section 4): whatever version the client has, the answer is 3 and our extensions."""
    hello = Fields(wire.receive(requests) or b"")
    if hello.byte() != wire.INIT:
        raise MalformedError
    hello.uint32()
    names = b"".join(
        wire.string(name) + wire.string(version) for name, (version, _) in _EXTENSIONS.items()
    )
    wire.send(replies, bytes([wire.VERSION]) + struct.pack(">I", 3) + names)


class _Session:
    """One client's open handles, and a method for each request it may make."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._handles: dict[bytes, int | Iterator[os.DirEntry[str]]] = {}
        self._count = 0

    def answer(self, request: Fields) -> bytes:
        """The reply packet for one request; raises only MalformedError."""
        kind, request_id = request.byte(), request.take(4)
        try:
            reply_kind, body = _REQUESTS.get(kind, _Session.unknown)(self, request)
        except PikuError as error:
            reply_kind, body = wire.status(Code.PERMISSION_DENIED, error.message)
        except OSError as error:
            reply_kind, body = wire.status(
                wire.CODES.get(error.errno, Code.FAILURE), error.strerror or ""
            )
        except OverflowError:  # the wire's numbers are unsigned, the kernel's offsets are not
            reply_kind, body = wire.status(Code.FAILURE, "Number out of range")
        return bytes([reply_kind]) + request_id + body

    def leave(self) -> None:
        for handle in self._handles.values():
            if isinstance(handle, int):
                os.close(handle)

    def unknown(self, _request: Fields) -> Reply:
        return wire.status(Code.UNSUPPORTED)

    # Paths and handles

    def _target(self, name: bytes, *, follow: bool = True) -> Path:
        """What `name` leads to."""
        return confine(self._root, os.fsdecode(name), follow=follow)

    def _entry(self, name: bytes) -> Path:
        """The directory entry `name` is, link or not; never the root, whose entry lies outside it."""
        path = self._target(name.rstrip(b"/") or name, follow=False)
        if path == self._root:
            raise PikuError("The piku root itself stays as it is", code=2)
        return path

    def _keep(self, handle: int | Iterator[os.DirEntry[str]]) -> Reply:
        self._count += 1
        name = b"%d" % self._count
        self._handles[name] = handle
        return wire.HANDLE, wire.string(name)

    def _check_room(self) -> None:
        if len(self._handles) >= _MOST_HANDLES:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    def _file(self, handle: bytes) -> int:
        found = self._handles.get(handle)
        if not isinstance(found, int):
            raise OSError(errno.EBADF, "No such file handle")
        return found

    # Files (sections 6.3 and 6.4)

    def open(self, request: Fields) -> Reply:
        name, wanted, attrs = request.string(), request.uint32(), request.attrs()
        self._check_room()
        if name.endswith(b"/"):  # scp to a folder that is not there; confine() would make it a file
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path = self._target(name, follow=not wanted & _EXCLUSIVE)
        flags = _ACCESS.get(wanted & 3, os.O_RDONLY) | sum(
            flag for bit, flag in _OPEN_FLAGS if wanted & bit
        )
        # Nobody waits for the other end of a pipe, and no link is left to follow.
        file = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW, attrs.mode(0o666))
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            return wire.status(Code.FAILURE, "Not a regular file")
        return self._keep(file)

    def close(self, request: Fields) -> Reply:
        handle = self._handles.pop(request.string(), None)
        if handle is None:
            raise OSError(errno.EBADF, "No such handle")
        if isinstance(handle, int):
            os.close(handle)
        return wire.status(Code.OK)

    def read(self, request: Fields) -> Reply:
        file, offset, size = self._file(request.string()), request.uint64(), request.uint32()
        data = os.pread(file, min(size, _LARGEST_CHUNK), offset)
        return (wire.DATA, wire.string(data)) if data else wire.status(Code.EOF)

    def write(self, request: Fields) -> Reply:
        file, offset, data = (
            self._file(request.string()),
            request.uint64(),
            memoryview(request.string()),
        )
        while data:
            written = os.pwrite(file, data, offset)
            offset, data = offset + written, data[written:]
        return wire.status(Code.OK)

    def fsync(self, request: Fields) -> Reply:
        os.fsync(self._file(request.string()))
        return wire.status(Code.OK)

    # Names (sections 6.5, 6.6, 6.10 and 6.11)

    def remove(self, request: Fields) -> Reply:
        self._entry(request.string()).unlink()
        return wire.status(Code.OK)

    def rename(self, request: Fields) -> Reply:
        old, new = self._entry(request.string()), self._entry(request.string())
        if os.path.lexists(new):  # section 6.5: an error in this version of the protocol
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        old.rename(new)
        return wire.status(Code.OK)

    def replace(self, request: Fields) -> Reply:
        old, new = self._entry(request.string()), self._entry(request.string())
        old.replace(new)
        return wire.status(Code.OK)

    def mkdir(self, request: Fields) -> Reply:
        name, attrs = request.string(), request.attrs()
        self._entry(name).mkdir(attrs.mode(0o777))
        return wire.status(Code.OK)

    def rmdir(self, request: Fields) -> Reply:
        self._entry(request.string()).rmdir()
        return wire.status(Code.OK)

    def realpath(self, request: Fields) -> Reply:
        return wire.one_name(str(self._target(request.string())))

    def readlink(self, request: Fields) -> Reply:
        return wire.one_name(str(self._entry(request.string()).readlink()))

    def symlink(self, request: Fields) -> Reply:
        # The draft has the link's path first; OpenSSH sends the target first, and all others follow it.
        target, link = os.fsdecode(request.string()), self._entry(request.string())
        confine(self._root, str(link.parent / target))
        link.symlink_to(target)
        return wire.status(Code.OK)

    # Folders (section 6.7)

    def opendir(self, request: Fields) -> Reply:
        path = self._target(request.string())
        self._check_room()
        with os.scandir(path) as entries:
            return self._keep(iter(sorted(entries, key=lambda entry: entry.name)))

    def readdir(self, request: Fields) -> Reply:
        found = self._handles.get(request.string())
        if found is None or isinstance(found, int):
            raise OSError(errno.EBADF, "No such folder handle")
        rows: list[bytes] = []
        while len(rows) < _NAMES_PER_REPLY and (entry := next(found, None)):
            try:
                info = entry.stat(follow_symlinks=False)
            except (
                OSError
            ):  # removed since opendir, or in a folder that may be listed but not entered
                continue
            name = os.fsencode(entry.name)
            rows.append(
                wire.string(name) + wire.string(wire.longname(name, info)) + wire.attrs(info)
            )
        return (
            (wire.NAME, struct.pack(">I", len(rows)) + b"".join(rows))
            if rows
            else wire.status(Code.EOF)
        )

    # Attributes (sections 6.8 and 6.9)

    def stat(self, request: Fields) -> Reply:
        return wire.ATTRS, wire.attrs(self._target(request.string()).stat())

    def lstat(self, request: Fields) -> Reply:
        return wire.ATTRS, wire.attrs(self._target(request.string(), follow=False).lstat())

    def fstat(self, request: Fields) -> Reply:
        return wire.ATTRS, wire.attrs(os.fstat(self._file(request.string())))

    def setstat(self, request: Fields) -> Reply:
        path, attrs = self._target(request.string()), request.attrs()
        attrs.apply(path)
        return wire.status(Code.OK)

    def fsetstat(self, request: Fields) -> Reply:
        file, attrs = self._file(request.string()), request.attrs()
        attrs.apply(file)
        return wire.status(Code.OK)

    # Extensions (section 8; OpenSSH's PROTOCOL, section 4)

    def extended(self, request: Fields) -> Reply:
        _, method = _EXTENSIONS.get(request.string(), (b"", _Session.unknown))
        return method(self, request)

    def limits(self, _request: Fields) -> Reply:
        return wire.EXTENDED_REPLY, struct.pack(
            ">4Q", 256 * 1024, *[_LARGEST_CHUNK] * 2, _MOST_HANDLES
        )


_Method = Callable[[_Session, Fields], Reply]

_REQUESTS: Final[Mapping[int, _Method]] = {
    3: _Session.open,
    4: _Session.close,
    5: _Session.read,
    6: _Session.write,
    7: _Session.lstat,
    8: _Session.fstat,
    9: _Session.setstat,
    10: _Session.fsetstat,
    11: _Session.opendir,
    12: _Session.readdir,
    13: _Session.remove,
    14: _Session.mkdir,
    15: _Session.rmdir,
    16: _Session.realpath,
    17: _Session.stat,
    18: _Session.rename,
    19: _Session.readlink,
    20: _Session.symlink,
    200: _Session.extended,
}

_EXTENSIONS: Final[Mapping[bytes, tuple[bytes, _Method]]] = {
    b"posix-rename@openssh.com": (b"1", _Session.replace),
    b"fsync@openssh.com": (b"1", _Session.fsync),
    b"limits@openssh.com": (b"1", _Session.limits),
}
