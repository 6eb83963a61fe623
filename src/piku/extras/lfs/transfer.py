"""The protocol of git-lfs over SSH: requests and answers in pkt-lines (gitprotocol-common(5)).

A request is a command with arguments, then perhaps lines or data; an answer begins with a status
as HTTP has it. Locks are not offered.
"""

import os
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from piku.errors import PikuError
from piku.extras.lfs import store
from piku.extras.lfs.pointers import Pointer
from piku.paths import AppPaths

_FLUSH, _DELIMITER = 0, 1
_LARGEST = 65516  # bytes of data in one packet
_OBJECT = re.compile(r"([0-9a-f]{64}) ([0-9]{1,18})(?: .*)?")


class _BadRequest(Exception):
    """Something that the protocol does not have."""


class Connection:
    """One client, which uploads or downloads."""

    def __init__(self, app: AppPaths, operation: str, source: BinaryIO, sink: BinaryIO) -> None:
        self._app, self._operation = app, operation
        self._source, self._sink = source, sink

    def serve(self) -> None:
        """Answer requests until the client is done or goes away."""
        self._send("version=1")
        self._end()
        more = True
        while more:
            packet = self._packet()
            if not isinstance(packet, bytes):
                return
            words = packet.decode(errors="replace").split()
            try:
                more = self._answer(words)
            except _BadRequest as error:
                self._reply(400, lines=[str(error)])

    def _answer(self, words: Sequence[str]) -> bool:
        """Answer one request; returns whether there may be another."""
        name, upload = words[0] if words else "", self._operation == "upload"
        if name == "put-object" and upload:
            self._put(words[1:])
            return True
        arguments, lines = self._rest()
        if name == "quit":
            self._reply(200)
            return False
        if name == "version":
            self._reply(200 if words[1:] == ["1"] else 400, lines=[])
        elif name == "batch":
            self._batch(lines)
        elif name == "verify-object" and upload:
            wanted = _pointer(words[1:], arguments)
            here = store.has(self._app, wanted)
            self._reply(200 if here else 404, lines=[] if here else ["it is not here"])
        elif name == "get-object" and not upload:
            self._get(_pointer(words[1:], arguments))
        else:
            # Of locks, this makes the client ask no more.
            self._reply(501, lines=[f"this server does not have {name[:40]!r} here"])
        return True

    def _batch(self, lines: Sequence[str]) -> None:
        """Say for each content whether it is to be transferred."""
        answers = []
        for line in lines:
            found = _OBJECT.fullmatch(line)
            if found is None:
                raise _BadRequest("not the hash and size of an object")
            wanted = Pointer(oid=found[1], size=int(found[2]))
            here = store.has(self._app, wanted)
            if here and self._operation == "upload":
                store.touch(self._app, wanted)
            needed = here == (self._operation == "download")
            answers.append(f"{wanted.oid} {wanted.size} {self._operation if needed else 'noop'}")
        self._reply(200, ["hash-algo=sha256"], answers)

    def _put(self, words: Sequence[str]) -> None:
        arguments, data = [], self._packets()
        for packet in data:
            if packet == _DELIMITER:
                break
            arguments.append(_text(packet))
        chunks = (packet for packet in data if isinstance(packet, bytes))
        status, lines = 200, []
        try:
            store.keep(self._app, _pointer(words, arguments), chunks)
        except PikuError as error:
            status, lines = 422, [error.message]
        except OSError as error:
            status, lines = 507, [f"it cannot be stored: {error.strerror}"]
        finally:
            for _ in chunks:
                pass  # the next request comes after the rest of the data
        self._reply(status, lines=lines)

    def _get(self, wanted: Pointer) -> None:
        try:
            file = store.place(self._app, wanted.oid).open("rb")
        except FileNotFoundError:
            self._reply(404, lines=["this server has no such content"])
            return
        with file:
            self._send("status 200")
            self._send(f"size={os.fstat(file.fileno()).st_size}")
            self._mark(_DELIMITER)
            while chunk := file.read(_LARGEST):
                self._write(chunk)
            self._end()

    # Packets

    def _packet(self) -> bytes | int:
        """The next packet: data, or a mark. The end of the input is like the end of a request."""
        head = self._source.read(4)
        if len(head) < 4:
            return _FLUSH
        try:
            size = int(head, 16)
        except ValueError:
            raise PikuError("this is not the protocol of git-lfs", code=2) from None
        return self._source.read(size - 4) if size >= 4 else size

    def _packets(self) -> Iterator[bytes | int]:
        """The rest of a request."""
        while (packet := self._packet()) != _FLUSH:
            yield packet

    def _rest(self) -> tuple[list[str], list[str]]:
        """The arguments of a request, and the lines that follow them."""
        arguments: list[str] = []
        lines: list[str] = []
        target = arguments
        for packet in self._packets():
            if packet == _DELIMITER:
                target = lines
            else:
                target.append(_text(packet))
        return arguments, lines

    def _reply(
        self, status: int, arguments: Sequence[str] = (), lines: Sequence[str] | None = None
    ) -> None:
        self._send(f"status {status}")
        for argument in arguments:
            self._send(argument)
        if lines is not None:
            self._mark(_DELIMITER)
            for line in lines:
                self._send(line)
        self._end()

    def _send(self, line: str) -> None:
        self._write(f"{line}\n".encode())

    def _write(self, data: bytes) -> None:
        self._sink.write(b"%04x" % (len(data) + 4) + data)

    def _mark(self, mark: int) -> None:
        self._sink.write(b"%04x" % mark)

    def _end(self) -> None:
        self._mark(_FLUSH)
        self._sink.flush()


def _text(packet: bytes | int) -> str:
    return packet.decode(errors="replace").rstrip("\n") if isinstance(packet, bytes) else ""


def _pointer(words: Sequence[str], arguments: Sequence[str]) -> Pointer:
    """The content that a request names, with the size from its arguments."""
    size = next((one[5:] for one in arguments if one.startswith("size=")), "0")
    found = _OBJECT.fullmatch(f"{words[0] if words else ''} {size}")
    if found is None:
        raise _BadRequest("not the hash and size of an object")
    return Pointer(oid=found[1], size=int(found[2]))
