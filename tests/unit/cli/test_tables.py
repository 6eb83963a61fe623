"""What is drawn over and over on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import sys
import termios
import time
from pathlib import Path

from piku import files, procfs

# More than a terminal takes without somebody who reads it.
DRAWS = """\
from piku.cli import tables
tables.watch(lambda: ["x" * 70] * 2000)
"""


def unread(terminal: int) -> int:
    """How many bytes could be read now (ioctl_tty(2), FIONREAD)."""
    [count] = struct.unpack("i", fcntl.ioctl(terminal, termios.FIONREAD, b"\0" * 4))
    return int(count)


def test_a_signal_in_the_middle_of_a_drawing() -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(LINES="2000", PYTHONPATH=str(Path(__file__).resolve().parents[3] / "src"))
        os.execv(sys.executable, [sys.executable, "-B", "-c", DRAWS])
    shown = os.read(terminal, 4096)
    before = -1
    for _ in files.poll(time.monotonic() + 10, first=0.05):
        waiting = unread(terminal)
        if waiting == before > 0:
            break  # there is no room for more
        before = waiting
    os.kill(pid, signal.SIGTSTP)
    while b"\x1b[?1049l" not in shown:  # it leaves the screen that it draws on
        shown += os.read(terminal, 65536)
    assert b"Traceback" not in shown
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(terminal)
    assert not procfs.is_running(pid)
