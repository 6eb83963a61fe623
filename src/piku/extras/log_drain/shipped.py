"""The logs of one app, read as they grow for those who get a copy of them."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from typing import Any

from piku.extras.log_drain import setting
from piku.extras.log_drain.senders import Sender
from piku.operate import log_timestamps
from piku.operate.tail import Tail

EVERY, _FULL = (
    0.25,
    0.01,
)  # seconds until the next look: usually, and while there is no room for more
_CHUNK = 8192  # bytes of a log that are read before the next one has its turn
_BEFORE = 1 << 16  # bytes at the end of an older log in which to look for what came since
_NONE = 1 << 62  # the number of an activation that comes after all others
_QUIET = 600.0  # seconds after which the log of a process that is over is let go
_BACK = 5.0  # seconds by which a time may lie before the last one, and then is taken for that
_LARGEST = 1 << 16  # bytes of our own log in an app's folder, at which it is renamed to .old
_LOG = re.compile(
    rf"(?P<worker>{log_timestamps.PROCESS}|{log_timestamps.NGINX})(?:@(?P<activation>[0-9]+))?\.log"
)


class Source:
    """The logs of one app, and who gets them.

    A log is read from where `known` says, or from its beginning. When nothing is known the app has only
    just got a receiver, and what was written before that is left out. A release that is about to go live
    may have other receivers: its logs are read once it is, or has failed.
    """

    def __init__(self, app: str, entry: dict[str, Any], known: dict[str, list[int]] | None) -> None:
        self._app, self._known = app, known
        self._host = socket.gethostname()
        self._senders: dict[tuple[str, str], Sender] = {}
        self._tails: dict[str, Tail] = {}
        self._heard: dict[str, float] = {}  # when each of them last had something
        self._times: dict[str, float] = {}
        self._older: set[str] = (
            set()
        )  # logs of which only what came since is wanted, and has not come yet
        self._listed = 0.0
        self._later = False  # whether there is a log that is not read yet
        self.follow(entry)

    def follow(self, entry: dict[str, Any]) -> None:
        """Go on with what is live now."""
        self._entry = entry
        wanted = {(text, str(entry["ca"])) for text in entry["drains"]}
        for key in self._senders.keys() - wanted:
            self._senders.pop(key).finish()
        for text, ca in wanted - self._senders.keys():
            for drain in setting.parse(text):
                sender = Sender(self._app, drain, ca, self._host, self._say)
                sender.start()
                self._senders[text, ca] = sender

    def look(self) -> float:
        """Hand on what is new; returns when to look again, in seconds."""
        self._open_new()
        pause = EVERY
        ready = all(sender.ready for sender in self._senders.values())
        for name, tail in list(self._tails.items()):
            # What is renamed twice before it was read would be lost.
            if not ready and not tail.is_elsewhere():
                pause = min(pause, _FULL)
                continue
            self._hand_on(name, tail)
            pause = 0.0 if tail.behind else pause
            if tail.ended or self._is_over(name):
                tail.close()
                del self._tails[name]
        return pause

    def _hand_on(self, name: str, tail: Tail) -> None:
        worker = log_timestamps.worker_of(name)
        found = tail.news(_CHUNK)
        if found:
            self._heard[name] = time.monotonic()
        for when, text in found:
            if not text.strip() or self._is_old(name, when):
                continue
            before = self._times.get(name, 0.0)
            when = time.time() if when is None else when
            self._times[name] = when = before if before - _BACK < when < before else when
            for sender in self._senders.values():
                sender.put(worker, when, text)

    def _is_old(self, name: str, when: float | None) -> bool:
        """Whether a line was written before the app had a receiver."""
        if name in self._older and (when is None or int(when) < int(self._entry["since"])):
            return True
        self._older.discard(name)
        return False

    def _is_over(self, name: str) -> bool:
        return _number(name, _NONE) < self._entry["oldest"] and (
            time.monotonic() - self._heard.setdefault(name, time.monotonic()) > _QUIET
        )

    def _open_new(self) -> None:
        folder = self._entry["logs"]
        try:
            changed = os.stat(folder).st_mtime
            # Files that appear within one tick of the clock leave the folder's time as it is.
            if changed == self._listed and time.time() - changed > 1 and not self._later:
                return
            with os.scandir(folder) as entries:
                fresh = [entry for entry in entries if entry.name not in self._tails]
        except FileNotFoundError:  # the app is being destroyed
            return
        self._listed, self._later = changed, False
        for entry in fresh:
            if _LOG.fullmatch(entry.name) and not entry.is_symlink():
                with contextlib.suppress(FileNotFoundError):
                    self._open(entry.name, entry.path)
        self._known = {}

    def _open(self, name: str, path: str) -> None:
        number, live = _number(name, _NONE), self._entry["live"]
        if self._known and name in self._known:
            inode, offset = self._known[name]
            handle, offset = _found(path, inode, offset)
        elif number < self._entry["oldest"]:
            return
        elif live < number < _NONE and os.path.exists(f"{self._entry['activations']}/{number}"):
            self._later = True
            return
        else:
            handle, offset = os.open(path, os.O_RDONLY | os.O_CLOEXEC), 0
            if self._known is None and not live <= number < _NONE:
                offset = max(0, os.fstat(handle).st_size - _BEFORE)
                self._older.add(name)
        self._tails[name] = Tail(path, handle, offset)

    def places(self) -> dict[str, tuple[int, int]]:
        """How far each log has been read."""
        return {name: tail.place() for name, tail in self._tails.items()}

    def read_up(self, deadline: float) -> None:
        """Hand on all that there is by now, unless that takes too long."""
        while (pause := self.look()) < EVERY and time.monotonic() < deadline:
            time.sleep(pause)

    def end(self, deadline: float) -> None:
        """Send what waits, and say what could not be sent."""
        senders = list(self._senders.values())
        for sender in senders:
            sender.finish()
        for sender in senders:
            sender.join(max(0.0, deadline - time.monotonic()))
            if sender.left:
                self._say(
                    f"{sender.left} lines for {sender.name.split()[1]} are dropped: the platform stops"
                )
        for tail in self._tails.values():
            tail.close()

    def _say(self, text: str) -> None:
        """In the platform's own log, and among the app's."""
        when = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        print(f"{when} {self._app}: {text}", flush=True)
        with contextlib.suppress(OSError):
            path = os.path.join(self._entry["logs"], f"{log_timestamps.DRAIN}.log")
            if os.path.exists(path) and os.path.getsize(path) > _LARGEST:
                os.replace(path, f"{path}.old")
            handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
            try:
                os.write(handle, f"-----> {when} {text}\n".encode())
            finally:
                os.close(handle)


def _number(name: str, otherwise: int) -> int:
    """The activation whose process writes this log; `otherwise` when it belongs to none."""
    match = _LOG.fullmatch(name)
    return int(match["activation"]) if match and match["activation"] else otherwise


def _found(path: str, inode: int, offset: int) -> tuple[int, int]:
    """The file that was read before, opened where that ended; it may have been renamed since."""
    folder = os.path.dirname(path)
    with os.scandir(folder) as entries:
        same = [
            entry.name for entry in entries if entry.inode() == inode and not entry.is_symlink()
        ]
    with contextlib.suppress(FileNotFoundError):
        for name in same:
            handle = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_CLOEXEC)
            if os.fstat(handle).st_size >= offset:
                return handle, offset
            os.close(handle)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC), 0
