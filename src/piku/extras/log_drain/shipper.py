"""The program that sends apps' log lines to the receivers of PIKU_LOG_DRAIN; the platform's own, and there
only while a live app has one.

It reads the logs on disk as `piku logs` does, so no app can ever wait for it, and a receiver that is down
costs nobody anything. What to read is in one file, how far it has come in another. Few imports: it stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from typing import Any

from piku.extras.log_drain.shipped import EVERY, Source

_SAVED = 5.0  # seconds after which it is noted how far we have come
_GRACE = 3.0  # seconds in which to send the rest at the end
_SIGNALS = {signal.SIGTERM, signal.SIGINT}


class Shipper:
    """All apps that have a receiver, as the file `listing` says; `state` keeps how far we have come."""

    def __init__(self, listing: str, state: str) -> None:
        self._listing, self._state = listing, state
        self._known = _read(state)
        self._sources: dict[str, Source] = {}
        self._listed: tuple[int, int] | None = None
        self._saved = ""
        self._next_save = 0.0

    def look(self) -> float:
        """Hand on what is new everywhere; returns when to look again, in seconds."""
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(self._listing)
            if (status.st_ino, status.st_mtime_ns) != self._listed:
                self._listed = status.st_ino, status.st_mtime_ns
                self._follow(_read(self._listing))
        pauses = [source.look() for source in self._sources.values()]
        if time.monotonic() >= self._next_save:
            self._save()
        return min(pauses, default=EVERY)

    def _follow(self, listed: dict[str, Any]) -> None:
        for app in self._sources.keys() - listed.keys():
            threading.Thread(target=_end, args=(self._sources.pop(app),), daemon=True).start()
        for app, entry in listed.items():
            if app in self._sources:
                self._sources[app].follow(entry)
            else:
                self._sources[app] = Source(app, entry, self._known.get(app))
        self._known = {}

    def _save(self) -> None:
        self._next_save = time.monotonic() + _SAVED
        text = json.dumps({app: source.places() for app, source in self._sources.items()})
        if text == self._saved:
            return
        temporary = f"{self._state}.tmp"
        with contextlib.suppress(OSError):  # a full disk: what has come is sent nevertheless
            with open(temporary, "w") as file:
                file.write(text)
            os.replace(temporary, self._state)
            self._saved = text

    def end(self) -> None:
        """Send what there is, within a moment."""
        deadline = time.monotonic() + _GRACE
        for source in self._sources.values():
            source.read_up(deadline)
        self._save()
        for source in self._sources.values():
            source.end(deadline)


def _end(source: Source) -> None:
    deadline = time.monotonic() + _GRACE
    source.read_up(deadline)
    source.end(deadline)


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path) as file:
            found = json.load(file)
    except (FileNotFoundError, ValueError):  # none yet, or a power cut
        return {}
    return found if isinstance(found, dict) else {}


def main() -> None:
    """`shipper LISTING STATE`, until it is told to end."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    os.nice(5)
    shipper = Shipper(*sys.argv[1:3])
    pause = 0.0
    while signal.sigtimedwait(_SIGNALS, pause) is None:
        pause = shipper.look()
    shipper.end()
