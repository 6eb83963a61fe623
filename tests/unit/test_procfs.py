"""Processes and those below them: found whoever started them, and ended however many they are."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from piku import files, procfs

THREADED = """\
import subprocess, sys, threading, time
def go():
    subprocess.Popen(["sleep", "600"], env={}, start_new_session=True)
    print("up", flush=True)
    time.sleep(600)
threading.Thread(target=go).start()
"""


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    found: list[subprocess.Popen[bytes]] = []
    yield found
    for process in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def descriptors(most: int) -> Iterator[None]:
    """Have this process open no more than so many files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < most:
        pytest.skip(f"no more than {before[1]} descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_what_another_thread_started_is_below_its_process() -> None:
    with subprocess.Popen([sys.executable, "-ISc", THREADED], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        [child] = procfs.children(process.pid)
        assert list(procfs.descendants(process.pid)) == [child]
        assert procfs.end([process.pid, child], 5) == []
        assert not procfs.is_running(child)


def test_many_are_ended_with_few_descriptors(sleepers: list[subprocess.Popen[bytes]]) -> None:
    sleepers += [subprocess.Popen(["sleep", "600"]) for _ in range(450)]
    with descriptors(300):
        assert procfs.end([process.pid for process in sleepers], 10) == []
    assert {process.wait() for process in sleepers} == {-signal.SIGTERM}


def test_high_descriptors_are_no_hindrance(sleepers: list[subprocess.Popen[bytes]]) -> None:
    sleepers.append(subprocess.Popen(["sleep", "600"]))
    with descriptors(1200), contextlib.ExitStack() as stack:
        for _ in range(1050):
            stack.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        assert procfs.end([sleepers[0].pid], 10) == []


def test_who_does_not_listen_is_killed(sleepers: list[subprocess.Popen[bytes]]) -> None:
    deaf = subprocess.Popen(
        ["/bin/sh", "-c", "trap '' TERM; echo; exec sleep 600"], stdout=subprocess.PIPE
    )
    sleepers += [deaf, subprocess.Popen(["sleep", "600"])]
    assert deaf.stdout is not None and deaf.stdout.readline()
    begun = time.monotonic()
    assert procfs.end([process.pid for process in sleepers], 0.3) == []
    assert 0.3 <= time.monotonic() - begun < 5  # seconds after which SIGKILL is given up
    assert [process.wait() for process in sleepers] == [-signal.SIGKILL, -signal.SIGTERM]
    deaf.stdout.close()


def test_an_age_is_in_seconds(sleepers: list[subprocess.Popen[bytes]]) -> None:
    sleepers.append(subprocess.Popen(["sleep", "600"]))
    for _ in files.poll(time.monotonic() + 5):
        if procfs.age(sleepers[0].pid) > 0.2:
            break
    assert 0.2 < procfs.age(sleepers[0].pid) < 5
    sleepers[0].kill()
    sleepers[0].wait()
    assert procfs.age(sleepers[0].pid) == 0
