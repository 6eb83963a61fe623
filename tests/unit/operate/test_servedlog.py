"""What uWSGI's log of an app says of its starts and ends."""

from __future__ import annotations

from pathlib import Path

from piku.operate import uwsgi_log_events
from piku.operate.uwsgi_log_events import Said

START = "*** Starting uWSGI 2.0.21 (64bit) on [Sat Nov 21 10:00:10 2026] ***\n"
UP = f"{START}WSGI app 0 ready\nspawned uWSGI master process (pid: 7)\nspawned uWSGI worker 1 (pid: 8)\n"
BROKEN = f"{START}RuntimeError: no database\n*** no app loaded. GAME OVER ***\n"
ASKED = "SIGINT/SIGTERM received...killing workers...\ngoodbye to uWSGI.\n"
DIED = (
    "DAMN ! worker 1 (pid: 8) died :( trying respawn ...\nRespawned uWSGI worker 1 (new pid: 9)\n"
)
ANSWER = '127.0.0.1 - - [21/Nov/2026:10:00:17 +0000] "GET / HTTP/1.1" 200 21 "-" "-" 0ms\n'


def said(text: str) -> Said:
    return uwsgi_log_events.parse(text.encode())


def test_an_app_that_is_well() -> None:
    assert said("") == said(UP) == said(UP + ANSWER) == Said()
    # Neither naps nor stops of the platform count; the start under way has not failed.
    assert said((UP + ASKED) * 3) == said((UP + ASKED) * 3 + START) == Said()
    # Of a nap, uWSGI's very last words may be missing.
    assert said(f"{UP}workers have been inactive for more than 2 seconds (17-14)\n{UP}") == Said()


def test_a_start_that_came_to_nothing() -> None:
    assert said(UP + ASKED + BROKEN) == Said(failing=True, failed_before=True)
    assert said(UP + BROKEN * 2) == Said(failures=2, failing=True, failed_before=True)
    assert said(UP + BROKEN + START).failed_before
    assert said(UP + BROKEN + UP) == Said(failures=2, failed_before=True)
    assert said(BROKEN + UP + ASKED + UP) == Said(failures=1)
    # Not all that fails says so.
    assert not said(UP + START).failing and said(START * 2).failing


def test_worker_processes_that_die() -> None:
    assert said(UP + DIED * 3) == Said(deaths=3, deaths_in_a_row=3)
    assert said(UP + DIED + ANSWER + DIED) == Said(deaths=2, deaths_in_a_row=1)
    assert said(UP + DIED * 2 + UP) == Said(failures=1, deaths=2)


def test_of_a_long_log_the_end_counts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert uwsgi_log_events.read(log) == Said()
    log.write_text(UP + DIED + ANSWER * 20_000 + DIED * 2)
    assert uwsgi_log_events.read(log) == Said(deaths=2, deaths_in_a_row=2)
