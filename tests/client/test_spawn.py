"""Programs that the client runs in its own place."""

import os
import signal

from piku.client import spawn


def test_a_signal_that_comes_when_the_program_has_ended_is_no_fault() -> None:
    numbers = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        assert spawn.attached(["true"]) == 0
        for number in numbers:
            os.kill(os.getpid(), number)  # as one that was sent to both of them
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
