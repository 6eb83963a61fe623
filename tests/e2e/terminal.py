"""A person at a terminal: ssh -t in a pseudo-terminal whose screen the test reads and whose keys it types."""

import contextlib
import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox import Sandbox

CTRL_C, CTRL_D, CTRL_Z = "\x03", "\x04", "\x1a"


class Terminal:
    """`ssh -t piku@server COMMAND` in a terminal of that size, or another program with its own variables."""

    def __init__(
        self, server: Sandbox, command: str = "", *, rows: int = 24, columns: int = 80,
        program: Sequence[str] = (), env: Mapping[str, str] | None = None, cwd: Path | None = None,
    ) -> None:  # fmt: skip
        self._shown = ""
        self._read = 0  # what `wait_for` has found before
        self._screen, keyboard = os.openpty()
        self.resize(rows, columns)
        argv = program or ["ssh", *server.ssh_options(), "-t", server.address, command]
        env = {**(env or server.client_env()), "TERM": "xterm"}
        try:
            # The terminal must be the client's own: else the kernel would not tell it of a new size.
            self._client = subprocess.Popen(
                ["setsid", "--ctty", *argv], env=env, cwd=cwd,
                stdin=keyboard, stdout=keyboard, stderr=keyboard,
            )  # fmt: skip
        finally:
            os.close(keyboard)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self._client.kill()
        self._client.wait()
        os.close(self._screen)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def types(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def wait_for(self, pattern: str, timeout: float = 30) -> re.Match[str]:
        """Wait until the pattern is shown, behind what was waited for before."""
        deadline = time.monotonic() + timeout
        while True:
            found = re.compile(pattern, re.MULTILINE).search(self._shown, self._read)
            if found:
                self._read = found.end()
                return found
            assert self._more(deadline), f"no {pattern!r} in {self._shown[self._read :]!r}"

    def ends(self, timeout: float = 30) -> tuple[int, str]:
        """Wait for the end; the exit code, and all that was shown."""
        deadline = time.monotonic() + timeout
        while self._more(deadline):
            pass
        return self._client.wait(timeout), self._shown

    def _more(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._screen], [], [], max(0, deadline - time.monotonic()))
        data = b""
        with contextlib.suppress(OSError):  # nobody holds the other side any more
            data = os.read(self._screen, 65536) if ready else b""
        # A shell's line editor says around each line whether it wants to know what is pasted.
        self._shown += re.sub(r"\x1b\[\?2004[hl]\r?", "", data.decode(errors="replace"))
        return bool(data)
