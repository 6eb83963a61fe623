"""Marks in logs: the times of lines, and which release wrote them."""

from __future__ import annotations

import time

import pytest

from piku.operate import log_timestamps
from piku.uwsgi import ini

REAL, LONG_AGO = b"[21/Nov/2026:02:10:05 +0000]", b"[01/Jan/2000:00:00:00 +0000]"
TO_COME = b"[01/Jan/2099:00:00:00 +0000]"
AT = 1795227005.0


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'1.2.3.4 - - %s "GET / HTTP/1.1" 200 5 "-" "-" 1500ms' % REAL, AT + 1.5),
        (b'1.2.3.4 - me [21/Nov/2026:03:10:05 +0100] "GET /[x] HTTP/1.1" 200 5 "-" "-" 0ms', AT),
        (b'203.0.113.9, 10.0.0.1 - - %s "GET / HTTP/2.0" 200 5 "" "" 0ms' % REAL, AT),
        (b'1.2.3.4 - - [99/Nov/2026:02:10:05 +0000] "GET / HTTP/1.1" 200 5 "-" "-" 0ms', None),
        # What a client sends in place of its address, or as its program's name.
        (b'1.1.1.1 - - %s " - - %s "GET / HTTP/1.1" 200 5 "-" "-" 0ms' % (LONG_AGO, REAL), AT),
        (
            b'1.1.1.1 - - %s "GET / x" - - %s "GET / HTTP/1.1" 200 5 "-" "-" 0ms'
            % (LONG_AGO, REAL),
            AT,
        ),
        (b'1.2.3.4 - - %s "GET / HTTP/1.1" 200 5 "-" " - - %s "GET /" 0ms' % (REAL, LONG_AGO), AT),
        (b'1.2.3.4 - - %s "GET / HTTP/1.1" 200 5 "-" " - - %s "GET /" 0ms' % (REAL, TO_COME), AT),
        (
            b"*** Starting uWSGI 2.0.21-debian (64bit) on [Thu Jan  1 00:00:00 1970] ***",
            time.mktime((1970, 1, 1, 0, 0, 0, 0, 0, -1)),
        ),
        # What the app writes is not the server's word.
        (b"-----> 2026-11-21 02:10:05 UTC begins", None),
        (b"2026-11-21 02:10:05 INFO handling /", None),
        (b"said at %s" % REAL, None),
        (b"", None),
        (b" - " * 5000, None),
    ],
)
def test_the_time_that_a_line_says(
    line: bytes, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: AT + 3600)
    assert log_timestamps.said_time("wsgi.1", line) == expected


@pytest.mark.parametrize(
    ("worker", "line", "expected"),
    [
        ("nginx", b'1.2.3.4 - - %s "GET / HTTP/1.1" 200 5 "-" "-" 1500ms' % REAL, AT),
        ("drain", b"-----> 2026-11-21 02:10:05 UTC a receiver takes the log", AT),
        ("drain", b"-----> 2026-11-21 02:10:05 XYZT a receiver takes the log", None),
        (
            "build",
            b"2026-11-21 02:10:05 -----> Release v1",
            time.mktime((2026, 11, 21, 2, 10, 5, 0, 0, -1)),
        ),
        ("web.1", b"2026-11-21 02:10:05 x", None),
        ("web.1", b'1.2.3.4 - - %s "GET / HTTP/1.1" 200 5 "-" "-" 1500ms' % REAL, None),
    ],
)
def test_who_may_tell_the_time_of_which_log(
    worker: str, line: bytes, expected: float | None
) -> None:
    assert log_timestamps.said_time(worker, line) == expected


def test_stamps_are_those_of_daemons_and_stand_at_the_beginning_of_a_line() -> None:
    line = b"\x1b]7331;1795227006500\x07wo\x1b]7331;1795227008000\x07ken"
    for worker in ("web.1", "cron-x.1", "run.3", "wsgi_2.1"):
        assert log_timestamps.told(worker, line) == (b"woken", AT + 1.5, AT + 3)
        assert log_timestamps.told(worker, b"x" + line) == (b"xwoken", None, AT + 3)
    for worker in ("wsgi.1", "rwsgi.1", "jwsgi.1", "php.1", "nginx", "drain", "build"):
        assert log_timestamps.told(worker, line) == (line, None, None)
    assert set(log_timestamps.SERVED) == set(ini.MODIFIERS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \t \xe4\u2603 \x1b[31mred\x1b[0m \x1b[38;5;9mx\x1b[m", None),
        ("a DOS line\r", None),
        ("\x1b]52;c;cm0gLXJm\x07", r"\x1b]52;c;cm0gLXJm\x07"),
        ("\x1b]0;owned\x1b\\", r"\x1b]0;owned\x1b" + "\\"),
        ("\x1b[2J\x1b[1;1H\x9b2J", r"\x1b[2J\x1b[1;1H\x9b2J"),
        ("real\rforged\b\x7f\0", r"real\x0dforged\x08\x7f\x00"),
    ],
)
def test_what_a_terminal_would_obey_is_spelled_out(text: str, shown: str | None) -> None:
    assert log_timestamps.harmless(text) == (text if shown is None else shown)


def test_bytes_that_are_no_text_stay_as_they_are() -> None:
    assert log_timestamps.harmless_bytes(b"\xff\xfe \x9b2J \xe4") == b"\xff\xfe \\x9b2J \xe4"


def test_what_a_program_writes_is_no_mark() -> None:
    for text in (
        b"\x1b]7331;12\x07",
        b"\x1b]0;title\x07",
        b"\x1b[31mred\x1b[0m",
        b"7331;1795227006500",
    ):
        assert log_timestamps.plain(text) == text
        assert log_timestamps.stamps(text) == []


def test_a_line_of_ours_is_stamped_as_others() -> None:
    line = log_timestamps.stamped("woken", 1795227006.5).encode()
    assert (log_timestamps.stamps(line), log_timestamps.plain(line)) == ([1795227006.5], b"woken\n")


def test_sections_are_found_by_their_heads_alone() -> None:
    inside = b"\x1b]7331;v99;7;1795227006500;3\x07one\n\x1b]7331;v9\x07"
    section = log_timestamps.Section(5, AT, 0, len(inside))
    head = log_timestamps.section_head(section, 2)
    assert log_timestamps.sections(head + inside) == [
        (section._replace(start=len(head), end=len(head + inside)), 2)
    ]
    assert log_timestamps.sections(inside) == []
    assert log_timestamps.sections(head + inside + b"more") == []
    assert log_timestamps.plain(head + inside) == b"one\n"
