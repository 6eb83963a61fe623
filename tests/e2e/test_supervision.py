"""Processes that end, that will not end, and what they leave behind."""

import os
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import HOST, Sandbox

from piku import procfs
from tests.e2e.support import App, succeeded, web, wsgi

# Three ways to get away: in the group but deaf to SIGTERM, in a session of its own, and as a daemon whose
# parent is gone. Each has the mark given on its command line.
ESCAPES = """\
import os, subprocess, sys, time
mark = sys.argv[1]
sleeper = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
child = [sys.executable, "-ISc", sleeper, mark]
subprocess.Popen(child)
subprocess.Popen(child, start_new_session=True)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execv(sys.executable, child)
    os._exit(0)
print("escaped", flush=True)
time.sleep(600)
"""


def running(mark: str) -> list[int]:
    """The processes with this word on their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words:
            found.append(int(path.parent.name))
    return found


@pytest.fixture(scope="module")
def crowd(new_app: Callable[..., App]) -> App:
    """An app whose worker starts processes that try to outlive it."""
    procfile = "worker: exec python3 -ISu escape.py $MARK\n"
    app = new_app("crowd", {**web("crowd", procfile=procfile), "escape.py": ESCAPES}, push=False)
    app.commit(ENV="NGINX_SERVER_NAME=crowd.localhost\nMARK=mark-1\nPIKU_STOP_TIMEOUT=1\n")
    app.deployed()
    return app


def test_nothing_that_a_worker_started_outlives_it(crowd: App) -> None:
    server = crowd.server
    server.wait(lambda: len(running("mark-1")) == 4)
    crowd.does("config:set", "MARK=mark-2")
    server.wait(lambda: len(running("mark-2")) == 4)
    assert running("mark-1") == []

    first = set(running("mark-2"))
    crowd.does("restart")
    server.wait(lambda: len(running("mark-2")) == 4)
    assert not first & set(running("mark-2"))

    crowd.does("ps:scale", "worker=0")
    assert running("mark-2") == []
    crowd.does("ps:scale", "worker=2")
    server.wait(lambda: len(running("mark-2")) == 8)
    crowd.does("stop")
    assert running("mark-2") == []
    crowd.does("restart")
    server.wait(lambda: len(running("mark-2")) == 8)
    crowd.does("destroy", "--force")
    assert running("mark-2") == []


def test_another_server_of_the_same_user_is_left_alone(
    new_app: Callable[..., App], own_server: Sandbox
) -> None:
    procfile = "worker: setsid sleep $LENGTH & exec sleep $LENGTH\n"
    twins = [
        new_app("twin", web("twin", procfile=procfile, env=f"LENGTH={length}\n"), **where)
        for length, where in (("604.25", {}), ("604.75", {"on": own_server}))
    ]
    twins[1].server.wait(lambda: len(running("604.75")) == 2)
    before = running("604.75")
    twins[0].does("restart")
    twins[0].does("stop")
    assert running("604.25") == []
    assert sorted(running("604.75")) == sorted(before)
    twins[1].does("stop")
    assert running("604.75") == []


FINISHES = """\
import os, pathlib, signal, sys, time
finished = pathlib.Path(os.environ["DATA_ROOT"], "finished")
def finish(*_):
    with finished.with_suffix(".asked").open("a") as asked:
        asked.write("asked\\n")
    time.sleep(float(os.environ["NEEDS"]))
    finished.touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, finish)
finished.with_suffix(".ready").touch()
time.sleep(600)
"""


def test_a_worker_has_time_to_finish_but_not_for_ever(new_app: Callable[..., App]) -> None:
    procfile = "worker: exec python3 -IS finish.py\n"
    app = new_app("finish", {**web("finish", procfile=procfile), "finish.py": FINISHES}, push=False)
    app.commit(ENV="NGINX_SERVER_NAME=finish.localhost\nNEEDS=2\n")
    app.deployed()
    finished = app.server.root / "data" / "finish" / "finished"
    ready = finished.with_suffix(".ready")
    app.server.wait(ready.exists)
    app.does("ps:scale", "worker=0")
    assert finished.exists()
    # To many a program a second signal means that it shall drop everything.
    assert finished.with_suffix(".asked").read_text() == "asked\n"
    finished.unlink()
    ready.unlink()
    app.does("config:set", "NEEDS=5", "PIKU_STOP_TIMEOUT=1")
    app.does("ps:scale", "worker=1")
    app.server.wait(ready.exists)
    pid = app.ps()["worker.1"]["pid"]
    app.does("ps:scale", "worker=0")
    app.server.wait(lambda: not Path(f"/proc/{pid}").exists(), timeout=2)
    assert not finished.exists()
    # The emperor by itself would grant no more than half a minute.
    ready.unlink()
    app.does("config:set", "NEEDS=32", "PIKU_STOP_TIMEOUT=60")
    app.does("ps:scale", "worker=1")
    app.server.wait(ready.exists)
    app.does("stop")
    assert finished.exists()


def test_a_watcher_that_hangs_keeps_nobody_from_stopping(new_app: Callable[..., App]) -> None:
    files = {"Procfile": "worker: exec sleep 605.5\n", "ENV": "PIKU_STOP_TIMEOUT=1\n"}
    for command in ("stop", "restart"):
        app = new_app(f"hangs-{command}", files)
        [watcher] = [one for one in app.server.processes() if f"--ini {app.name}@" in str(one)]
        os.kill(watcher.pid, signal.SIGSTOP)
        app.does(command)
        assert not Path(f"/proc/{watcher.pid}").exists()
        app.does("stop")
    assert running("605.5") == []


def test_a_watcher_of_the_release_before_does_not_hang_for_ever(
    new_app: Callable[..., App],
) -> None:
    app = new_app(
        "hung", {**web("hung"), "ENV": "NGINX_SERVER_NAME=hung.localhost\nPIKU_STOP_TIMEOUT=1\n"}
    )
    [watcher] = [one for one in app.server.processes() if "--ini hung@" in str(one)]
    os.kill(watcher.pid, signal.SIGSTOP)
    begun = time.monotonic()
    app.commit(version_txt="two")
    app.deployed()
    assert app.server.piku("housekeeping").returncode == 0
    # It may still be about to end; the platform's own housekeeping may have been next.
    assert Path(f"/proc/{watcher.pid}").exists() or time.monotonic() - begun > 11
    enabled = app.server.root / "uwsgi-enabled"
    os.utime(enabled, (time.time() - 20,) * 2)
    assert app.server.piku("housekeeping").returncode == 0
    app.server.wait(lambda: not Path(f"/proc/{watcher.pid}").exists())
    assert app.body() == "two"


def test_what_a_wsgi_app_started_does_not_outlive_it(new_app: Callable[..., App]) -> None:
    code = """\
import subprocess, sys
subprocess.Popen(["sleep", "601.5"])
subprocess.Popen(["sleep", "601.5"], start_new_session=True)
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"""
    files = {
        "Procfile": "wsgi: app:app\n",
        "app.py": code,
        "ENV": "NGINX_SERVER_NAME=litter.localhost\nPIKU_STOP_TIMEOUT=60\n",
    }
    app = new_app("litter", files)
    before = set(running("601.5"))
    assert len(before) == 2
    begun = time.monotonic()
    app.does("restart")
    app.server.wait(lambda: not before & set(running("601.5")))  # housekeeping sees to it
    app.does("stop")
    # Not what a process gets that may have something to finish.
    assert time.monotonic() - begun < 50
    assert running("601.5") == []


def test_a_worker_that_dies_is_back_within_two_seconds(new_app: Callable[..., App]) -> None:
    app = new_app("phoenix", web("phoenix", procfile="worker: exec sleep 602\n"))
    # Its first seconds are over: whatever ends sooner is started again more slowly.
    app.server.wait(lambda: app.ps()["worker.1"]["uptime"] > 3)
    for number in (signal.SIGKILL, signal.SIGTERM):
        pid = app.ps()["worker.1"]["pid"]
        os.kill(pid, number)
        died = time.monotonic()
        app.server.wait(lambda pid=pid: app.ps()["worker.1"]["pid"] not in (0, pid))
        begun = time.monotonic() - procfs.age(app.ps()["worker.1"]["pid"])
        assert begun - died < 2.5  # what looking takes does not count
        app.server.wait(lambda: app.ps()["worker.1"]["uptime"] > 3)
    row = app.ps()["worker.1"]
    assert (row["restarts"], row["exit_code"]) == (2, 143)


def test_a_crash_loop_slows_down_and_says_why(new_app: Callable[..., App]) -> None:
    broken = "sleep 1; echo it broke in line 7; exit 3"
    procfile = f"worker: [ -e $DATA_ROOT/bad ] || exec sleep 1000; {broken}\n"
    app = new_app("loop", web("loop", procfile=procfile))
    (app.data / "bad").touch()
    os.kill(app.ps()["worker.1"]["pid"], signal.SIGKILL)

    def crashing() -> bool:
        row = app.ps()["worker.1"]
        return row["state"] == "crashing" and row["exit_code"] == 3

    app.server.wait(crashing)
    # After its first end it is tried once more, and is up meanwhile.
    said = next(said for said in iter(lambda: app.asked("ps"), None) if "crashing" in said.stdout)
    assert "worker.1" in said.stdout
    assert (
        "keeps ending with exit code 3" in said.stderr
        and "       it broke in line 7" in said.stderr
    )
    # Each start comes later than the one before: never more than a handful in this time.
    begun = time.monotonic()
    starts = app.ps()["worker.1"]["restarts"]
    app.server.wait(lambda: time.monotonic() - begun > 5)
    more = app.ps()["worker.1"]["restarts"] - starts
    assert more <= (time.monotonic() - begun) / 2 + 1
    assert app.status() == 200
    app.does("ps:scale", "worker=0")


def test_a_process_dies_with_its_watcher(own_server: Sandbox, new_app: Callable[..., App]) -> None:
    app = new_app("orphan", web("orphan", procfile="worker: sleep 603.25; true\n"), on=own_server)
    own_server.wait(lambda: len(running("603.25")) == 1)
    own_server.kill_platform()
    own_server.wait(lambda: running("603.25") == [])
    own_server.start_platform()
    own_server.wait(lambda: len(running("603.25")) == 1 and app.status() == 200)


def test_who_never_reads_an_answer_does_not_keep_the_platform_from_stopping(
    own_server: Sandbox, new_app: Callable[..., App]
) -> None:
    server = own_server
    files = {
        "Procfile": "static: .\n",
        "ENV": "NGINX_SERVER_NAME=large.localhost\n",
        "large.txt": "x" * 2**25,
    }
    new_app("large", files, on=server)
    with socket.create_connection((HOST, server.http_port)) as connection:
        connection.sendall(b"GET /large.txt HTTP/1.1\r\nHost: large.localhost\r\n\r\n")
        assert connection.recv(12) == b"HTTP/1.1 200"
        begun = time.monotonic()
        assert server.stop_platform(timeout=60) == 0
        assert time.monotonic() - begun > 20  # who reads slowly has half a minute


FAILS = """\
import os, pathlib
if pathlib.Path(os.environ["DATA_ROOT"], "broken").exists():
    raise RuntimeError("there is no database")
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"up"]
"""


def test_whoever_mends_an_app_that_kept_failing_need_not_wait(
    own_server: Sandbox, new_app: Callable[..., App]
) -> None:
    server = own_server
    apps = [
        new_app(name, {**wsgi(name), "app.py": FAILS}, on=server) for name in ("first", "second")
    ]
    log = server.root / "uwsgi" / "emperor.log"
    for app in apps:
        (app.data / "broken").touch()
        os.kill(int(app.ps()["wsgi.1"]["pid"]), signal.SIGKILL)
        server.wait(
            lambda name=app.name: log.read_text().count(f"removed uwsgi instance {name}@") > 3,
            timeout=30,
        )

    # It starts them ever more rarely; a person need not wait for that.
    for app in apps:
        (app.data / "broken").unlink()
    restarted = apps[0].does("restart")
    apps[1].does("destroy", "--force")
    for said in (restarted, "\n".join(succeeded(apps[1].push()))):
        found = re.search(r"healthy after (\d+\.\d+) s", said)
        assert found and float(found[1]) < 8, said
    assert apps[0].body() == apps[1].body() == "up"
