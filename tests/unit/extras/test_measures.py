"""What processes take, measured on real ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from piku.operate import cpu
from piku.operate.cpu import Look

SPIN = "import os, time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"


def test_a_program_and_what_it_started_count_together() -> None:
    code = f"import os, subprocess, sys\nsubprocess.run([sys.executable, '-ISc', {SPIN!r}])"
    with subprocess.Popen([sys.executable, "-ISc", code]) as parent:
        deadline = time.monotonic() + 10
        before = now = cpu.look()
        tree: list[int] = []
        while len(tree) != 2 or cpu.percent(before, now, parent.pid) < 20:
            assert time.monotonic() < deadline
            before, now = now, cpu.look()
            tree = list(now.tree(parent.pid))
        assert tree[0] == parent.pid
        assert now.memory(parent.pid) > now.memory(tree[1]) > 500_000
        os.kill(tree[1], 9)
        parent.kill()


def test_what_is_gone_takes_nothing() -> None:
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        before = cpu.look()
        sleeper.kill()
        sleeper.wait()
    now = cpu.look()
    assert cpu.percent(before, now, sleeper.pid) == 0
    assert list(now.tree(sleeper.pid)) == [] and now.memory(sleeper.pid) == 0
    assert list(now.tree(0)) == []  # the kernel is nobody's process
    assert os.getpid() in set(now.tree(os.getppid())) and Path("/proc").exists()


def test_the_time_of_a_child_that_ended_is_its_parents() -> None:
    # 2 had 5 s and ended: its parent has them now, and 0.3 s besides.
    before = Look(when=10, children={1: (2,)}, spent={1: 1.0, 2: 5.0})
    now = Look(when=11, children={1: (3,)}, spent={1: 6.1, 3: 0.2})
    assert cpu.percent(before, now, 1) == 30
    # What it had before it was let go is not taken back.
    assert cpu.percent(before, Look(when=11, children={}, spent={1: 1.0}), 1) == 0
