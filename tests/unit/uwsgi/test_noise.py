"""What uWSGI says of itself is told from what an app says."""

from __future__ import annotations

import pytest

from piku.uwsgi import noise

ROUTINE = """\
*** Starting uWSGI 2.0.21-debian (64bit) on [Sat Nov 21 10:30:13 2026] ***
compiled with version: 12.2.0 on 19 May 2023 13:59:29
os: Linux-6.1.0-18-amd64 #1 SMP
nodename: vm
machine: x86_64
clock source: unix
detected max file descriptor number: 20000
chdir() to /var/lib/piku/.piku/releases/a/2c3e15
your server socket listen backlog is limited to 100 connections
thunder lock: disabled (you can enable it with --thunder-lock)
uwsgi socket 0 bound to UNIX address /var/lib/piku/.piku/nginx/a@1.1.sock fd 6
*** dumping internal response routing table ***
[rule: 0] subject: ${PIKU_LENGTH} func: empty action: last:
*** end of the internal response routing table ***
collecting header Content-Length to var PIKU_LENGTH
Python version: 3.11.2 (main, Apr 28 2025, 14:11:48) [GCC 12.2.0]
Set PythonHome to /var/lib/piku/.piku/envs/a/python-df27
*** Operational MODE: no-workers ***
running "/usr/bin/env -i /usr/bin/perl -e 'fcntl(STDOUT, 4, 2)'" (pre app)...
!!!!!!!!!!!!!! WARNING !!!!!!!!!!!!!!
!!!!!!!!!!! END OF WARNING !!!!!!!!!!
WSGI app 0 (mountpoint='') ready in 0 seconds on interpreter 0x7fba21160018 pid: 11725 (default app)
spawned uWSGI worker 1 (pid: 11729, cores: 4)
[uwsgi-daemons] spawning "exec /usr/bin/setpriv --pdeathsig KILL -- /bin/sh worker.1.sh" (uid: 1037 gid: 1037)
announcing my loyalty to the Emperor...
cheap mode enabled: waiting for socket connection...
workers have been inactive for more than 2 seconds (1795264173-1795264170)
Sat Nov 21 10:30:17 2026 - received message 0 from emperor
worker 1 buried after 1 seconds
goodbye to uWSGI.
"""
TOLD = """\
unable to load app 0 (mountpoint='') (callable not found or import error)
DAMN ! worker 1 (pid: 8) died, killed by signal 9 :( trying respawn ...
Respawned uWSGI worker 1 (new pid: 9)
!!! uWSGI process 7 got Segmentation Fault !!!
!!!!!!!!!!!!!! WARNING !!!!!!!!!!!!!! the disk is full
*** our own banner ***
your order is on its way
machine learning starts
Traceback (most recent call last):
127.0.0.1 - - [21/Nov/2026:10:30:16 +0000] "GET / HTTP/1.1" 200 20 "-" "-" 0ms

"""


@pytest.mark.parametrize("line", ROUTINE.splitlines())
def test_what_uwsgi_says_at_each_start_and_stop_is_routine(line: str) -> None:
    assert noise.is_routine(line.encode())


@pytest.mark.parametrize("line", TOLD.splitlines())
def test_what_tells_of_a_fault_and_what_an_app_says_is_not(line: str) -> None:
    assert not noise.is_routine(line.encode())


def test_memory_that_its_logger_writes_at_the_end_is_routine() -> None:
    line = bytes.fromhex("d06324796 47f0000 d06324796 47f0000 009e".replace(" ", ""))
    assert noise.is_routine(line)
    assert not noise.is_routine(line[8:])
