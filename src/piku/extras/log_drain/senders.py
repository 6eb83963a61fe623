"""Sends an app's lines to one receiver, in a thread of its own: whatever that does, nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from piku.extras.log_drain import receivers, syslog
from piku.extras.log_drain.setting import JSON, LOGPLEX, Drain

# In bytes: how much may wait before the logs are read more slowly, and before the oldest is dropped.
_ENOUGH, _MOST = 1 << 18, 1 << 20
_BATCH = 1 << 16
_OVERHEAD = 80  # what a message costs in memory beside its text
_PATIENCE = 2.0  # seconds without progress after which the logs are no longer read more slowly
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0
_EVERY = 60.0  # seconds between remarks
_GATHER = 1.0  # seconds for which a request waits for more lines

Say = Callable[[str], None]


class Sender(threading.Thread):
    """Keeps what is to be sent until it was, tries again ever more rarely, and says so now and then."""

    def __init__(
        self, app: str, drain: Drain, ca: str, host: str, say: Say, *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        super().__init__(daemon=True, name=f"{app} {drain.shown}")
        self._app, self._drain, self._ca, self._host = app, drain, ca, host
        self._say, self._now = say, now
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._dropped = 0
        self._failing = self._ending = False
        self._pause = _FIRST_PAUSE
        self._progress = now()
        self._receiver: receivers.Receiver | None = None
        self._said: float | None = None
        self._told = False  # that it does not work

    # --- for whoever reads the logs ---

    @property
    def ready(self) -> bool:
        """Whether to read on: there is room, or no use in waiting until there is."""
        return self._size < _ENOUGH or self._failing or self._now() - self._progress > _PATIENCE

    @property
    def left(self) -> int:
        """How many messages wait."""
        return len(self._waiting)

    def put(self, process: str, when: float, text: bytes) -> None:
        """Have a line sent, some time; never waits."""
        with self._changed:
            if not self._waiting:
                self._progress = self._now()
            for message in syslog.encode(
                self._drain.kind, self._host, self._app, process, when, text
            ):
                self._waiting.append(message)
                self._size += len(message) + _OVERHEAD
            self._trim()
            self._changed.notify()

    def finish(self) -> None:
        """Send what waits, unless that fails, then end."""
        with self._changed:
            self._ending = True
            self._changed.notify()

    # --- the thread ---

    def run(self) -> None:
        """Send until told to finish."""
        while batch := self._take():
            try:
                self._deliver(batch)
            except OSError as error:
                self._failed(batch, error)
                if self._ending:
                    break
                self._rest()
            else:
                self._succeeded()
        self._disconnect()

    def _rest(self) -> None:
        """Wait before the next attempt."""
        with self._changed:
            self._changed.wait_for(lambda: self._ending, self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE)

    def _take(self) -> list[bytes]:
        """The next messages, once there are some; none when it is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ending)
            if self._drain.kind in (LOGPLEX, JSON):
                self._changed.wait_for(lambda: self._size >= _BATCH or self._ending, _GATHER)
            batch: list[bytes] = []
            size = 0
            while self._waiting and size < _BATCH:
                message = self._waiting.popleft()
                size += len(message)
                self._size -= len(message) + _OVERHEAD
                batch.append(message)
            return batch

    def _trim(self) -> None:
        while self._size > _MOST:
            self._size -= len(self._waiting.popleft()) + _OVERHEAD
            self._dropped += 1

    def _deliver(self, batch: list[bytes]) -> None:
        known = self._receiver
        try:
            self._send(batch)
        except receivers.Refused:
            raise
        except OSError:
            self._disconnect()
            if known is None:
                raise
            self._send(batch)  # the connection may have been idle for too long

    def _send(self, batch: list[bytes]) -> None:
        if self._receiver is None:
            self._receiver = receivers.connect(self._drain, self._ca, _token(self._app, self._host))
        self._receiver.send(batch)

    def _disconnect(self) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.close()

    # --- what became of it ---

    def _failed(self, batch: list[bytes], error: OSError) -> None:
        self._disconnect()
        with self._changed:
            self._failing = True
            if isinstance(error, receivers.Refused) and error.final:
                self._dropped += len(batch)
            else:
                self._waiting.extendleft(reversed(batch))
                self._size += sum(len(message) + _OVERHEAD for message in batch)
                self._trim()
            dropped = self._dropped
        if self._may_say():
            self._told = True
            why = getattr(error, "verify_message", "") or error.strerror or str(error)
            so_far = f"; {_lines(dropped)} dropped so far" if dropped else ""
            self._say(f"{self._drain.shown} does not take the log: {why}{so_far}")

    def _succeeded(self) -> None:
        self._pause = _FIRST_PAUSE
        with self._changed:
            self._failing = False
            self._progress = self._now()
            dropped = self._dropped
            if not (dropped or self._told) or not (self._told or self._may_say()):
                return
            self._dropped = 0
        again = " again" if self._told else ""
        self._told, self._said = False, self._now()
        lost = f"{_lines(dropped)} {'was' if dropped == 1 else 'were'} dropped"
        self._say(
            f"{self._drain.shown} takes the log{again}; {lost if dropped else 'nothing was dropped'}"
        )
        if dropped:
            self.put(
                "drain", time.time(), f"{lost}: they came too fast, or nobody took them".encode()
            )

    def _may_say(self) -> bool:
        now = self._now()
        if self._said is not None and now - self._said < _EVERY:
            return False
        self._said = now
        return True


def _lines(count: int) -> str:
    return f"{count} line{'' if count == 1 else 's'}"


def _token(app: str, host: str) -> str:
    """Names the app's drain to receivers that want that of Heroku's: always the same, and no secret."""
    import hashlib

    text = hashlib.sha256(f"{app}@{host}".encode()).hexdigest()
    return f"d.{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:32]}"
