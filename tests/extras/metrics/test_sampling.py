"""Processor time, of real processes."""

import subprocess
from collections.abc import Mapping

from piku.extras.metrics import history, sampling
from piku.extras.metrics.history import STEP
from piku.extras.metrics.request_log import folder
from piku.paths import AppName, Paths

BURN = """\
import sys, time
for seconds in (0.4, 0.8):
    while time.process_time() < seconds:
        pass
    print(flush=True)
    sys.stdin.readline()
"""


def test_the_time_of_a_process_that_has_ended_counts_once(paths: Paths) -> None:
    name, now = AppName("shop"), STEP * 1000
    folder(paths).mkdir()
    command = ["sh", "-c", 'python3 -IS -c "$0"; echo; read x', BURN]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, bufsize=1) as vassal:
        assert vassal.stdin and vassal.stdout
        known: Mapping[str, float] = {}
        for _ in range(3):  # halfway, before its end, and after it
            assert vassal.stdout.readline() == "\n"
            known = sampling._sample(paths, name, now, [vassal.pid], known)
            vassal.stdin.write("\n")
        sampling._sample(paths, name, now, [], known)
    [sample] = history.read(sampling.ring(paths, name), STEP, now, now + STEP)
    assert 0.7 < sample.cpu < 1.1
    assert sample.memory == 0
