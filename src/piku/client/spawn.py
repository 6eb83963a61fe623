"""Runs git and ssh for the client: `piku.subprocesses` does it for everything else, but loading that takes as
long as all that is to be done here."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Sequence

from piku.errors import PikuError

# Python ignores these, and what is ignored is inherited.
_IGNORED = tuple(getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name))
# What a terminal sends goes to the program as well, which decides what it means; the others it gets from us.
_TYPED = (signal.SIGINT, signal.SIGQUIT)
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP)
_GAVE_UP = 255  # how ssh ends at a signal


def output(argv: Sequence[str]) -> tuple[int, bytes]:
    """The exit code of a program and what it writes to standard output; its errors are dropped. 127 when
    there is no such program."""
    ours, theirs = os.pipe()
    try:
        actions = (
            (os.POSIX_SPAWN_DUP2, theirs, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        )
        pid = os.posix_spawnp(
            argv[0], list(argv), os.environ, file_actions=actions, setsigdef=_IGNORED
        )
    except OSError:
        os.close(ours)
        return 127, b""
    finally:
        os.close(theirs)
    with open(ours, "rb") as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def attached(argv: Sequence[str]) -> int:
    """Run a program with our terminal, standard input and output, and wait for it; returns its exit code,
    negative for the signal that ended it. Raises PikuError when it cannot be run."""
    came: list[int] = []
    for number in _TYPED:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        pid = os.posix_spawnp(argv[0], list(argv), os.environ, setsigdef=_IGNORED)
    except FileNotFoundError:
        raise PikuError(f"the program {argv[0]!r} is not installed here") from None
    except OSError as error:
        raise PikuError(f"{argv[0]} cannot be run: {error.strerror}") from None

    def pass_on(number: int, _frame: object) -> None:
        came.append(number)
        with contextlib.suppress(
            ProcessLookupError
        ):  # it has just ended, at the same signal perhaps
            os.kill(pid, number)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return -came[-1] if came and code == _GAVE_UP else code
