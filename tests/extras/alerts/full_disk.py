"""Run by test_full_disk.py, where the folder for temporary files is a disk of its own: here it fills."""

import contextlib
import tempfile
import time
from pathlib import Path

from sandbox import Sandbox

from tests.e2e.conftest import maker
from tests.extras.alerts.receiver import Receiver, look, tell

FILLER = Path(tempfile.gettempdir(), "filler")
_MB = 2**20


def test_a_full_disk(server: Sandbox) -> None:
    """To its last byte: what was told cannot be noted then, and is told once all the same."""
    receiver = Receiver()
    tell(server, receiver)
    app = maker(server)("shop")
    server.wait(lambda: receiver.seen("shop"))
    assert "/alive" in receiver.beats and receiver.seen("") == []
    # The platform's own look, at every even minute, would find it half full.
    server.wait(lambda: 10 < time.time() % 120 < 100, 40)
    with contextlib.suppress(OSError), FILLER.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * _MB)
    try:
        look(server)
        receiver.beats.clear()
        for _ in range(3):
            look(server)
        [(event, what)] = receiver.seen("")
        assert event == "problem" and what.startswith("the disk is almost full: 0 of "), what
        assert receiver.beats == []
        assert app.status() == 200
    finally:
        FILLER.unlink()
    server.wait(lambda: look(server) or len(receiver.seen("")) > 1)
    assert receiver.seen("")[1:] == [("solved", f"over: {what}")]
    look(server)
    assert receiver.beats
    receiver.close()
