"""Looks after one command of somebody who is connected: `attended.py SECONDS PROGRAM WORDS...`.

sshd tells nobody when a connection without a terminal goes, and reports a program that a signal ended in
a way that ssh knows no exit code for. This program stands between the two. It stands alone and imports
little: it is there as long as the command is.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

# Python ignores these, and what is ignored is inherited.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
# A terminal sends these to the program as well, which decides what they mean.
_TYPED = (signal.SIGINT, signal.SIGQUIT)
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP)
_PAUSE = 0.02  # seconds between two looks at what is to end


def main(words: list[str]) -> int:
    """Run the command with our own input and output; returns its exit code, 128 and more for a signal."""
    patience, argv = float(words[1]), words[2:]
    on_terminal = any(os.isatty(stream) for stream in (0, 1, 2))
    pid = _start(argv, own_group=not on_terminal)
    _mind_signals(pid if on_terminal else -pid)
    _hear_signals()
    if not on_terminal and not _attended(pid):
        _end(pid, patience)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code if code >= 0 else 128 - code


def hold_signals() -> None:
    """Have signals wait, also over the start of this program, until it can pass them on."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {*_TYPED, *_PASSED_ON})


def _hear_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_TYPED, *_PASSED_ON})


def _start(argv: list[str], *, own_group: bool) -> int:
    """Start the program; a terminal's must stay in our group, which may read from it."""
    pid = os.fork()
    if own_group:  # on both sides: whichever comes first, it is done before anybody counts on it
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
    if pid:
        return pid
    try:
        for number in (*_IGNORED, signal.SIGINT):  # Python has a handler for the last
            signal.signal(number, signal.SIG_DFL)
        _hear_signals()
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(
            2,
            f" !     {argv[0]} cannot be run: {error.strerror}\n".encode(errors="surrogateescape"),
        )
    finally:
        os._exit(127)


def _mind_signals(receiver: int) -> None:
    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(receiver, number)

    for number in _TYPED:
        signal.signal(number, signal.SIG_IGN)
    for number in _PASSED_ON:
        signal.signal(number, pass_on)


def _attended(pid: int) -> bool:
    """Wait for the program's end, or until nobody is there: then nobody writes to its input any more, nor
    reads its output. One of them alone may end earlier, as input does with its file. (Its errors are no sign:
    of a connection that is shared, sshd goes on reading them when a client of it was killed.)"""
    ended = os.pidfd_open(pid)
    poller = select.poll()
    poller.register(ended, select.POLLIN)
    streams = {0, 1}
    for stream in streams:
        poller.register(
            stream, 0
        )  # only whether the other side has gone; what is to be read is not ours
    try:
        while streams:
            for handle, _ in poller.poll():
                if handle == ended:
                    return True
                poller.unregister(handle)
                streams.discard(handle)
        return False
    finally:
        os.close(ended)


def _end(group: int, patience: float) -> None:
    """End the program with all that is in its group: SIGTERM, and SIGKILL for what is still there then."""
    deadline = time.monotonic() + patience
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        os.killpg(group, signal.SIGCONT)
        while time.monotonic() < deadline and _more_than_its_leader(group):
            time.sleep(_PAUSE)
        os.killpg(group, signal.SIGKILL)


def _more_than_its_leader(group: int) -> bool:
    """Whether anybody of the group still runs; who has ended stays in it until we have asked how."""
    leader_over = os.waitid(os.P_PID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return not leader_over or any(
        _group(entry) == group for entry in os.listdir("/proc") if entry.isdigit()
    )


def _group(entry: str) -> int:
    """The process group of one that runs; 0 for one that has ended (proc(5))."""
    with contextlib.suppress(OSError), open(f"/proc/{entry}/stat", errors="replace") as file:
        state, _, group = file.read().rpartition(")")[2].split()[:3]
        return 0 if state in "ZX" else int(group)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
