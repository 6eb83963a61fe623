"""Marks in logs: the times of lines, and which release wrote them."""

from __future__ import annotations

import time

import pytest

from piku.serve import logmarks


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'1.2.3.4 - - [21/Nov/2026:02:10:05 +0000] "GET / HTTP/1.1" 200 5 "-" "-" 1500ms', 1795227006.5),
        (b'1.2.3.4 - me [21/Nov/2026:03:10:05 +0100] "GET /[x] HTTP/1.1" 200 5 "-" "-" 0ms', 1795227005),
        (
            b'203.0.113.9, 10.0.0.1 - - [21/Nov/2026:02:10:05 +0000] "GET / HTTP/2.0" 200 5 "" "" 0ms',
            1795227005,
        ),
        (b'1.2.3.4 - - [99/Nov/2026:02:10:05 +0000] "GET / HTTP/1.1" 200 5 "-" "-" 0ms', None),
        (b"-----> 2026-11-21 02:10:05 UTC begins", 1795227005),
        (b"-----> 2026-11-21 02:10:05 XYZT begins", None),
        (
            b"*** Starting uWSGI 2.0.21-debian (64bit) on [Thu Jan  1 00:00:00 1970] ***",
            time.mktime((1970, 1, 1, 0, 0, 0, 0, 0, -1)),
        ),
        (b"said at [21/Nov/2026:02:10:05 +0000]", None),
        (b"", None),
        (b" - " * 5000, None),
    ],
)
def test_the_time_that_a_line_says(line: bytes, expected: float | None) -> None:
    assert logmarks.said_time(line, at_end=False) == expected


def test_nginx_says_when_a_request_ended() -> None:
    line = b'1.2.3.4 - - [21/Nov/2026:02:10:05 +0000] "GET / HTTP/1.1" 200 5 "-" "-" 1500ms'
    assert logmarks.said_time(line, at_end=True) == 1795227005


def test_what_a_program_writes_is_no_mark() -> None:
    for text in (b"\x1b]7331;12\x07", b"\x1b]0;title\x07", b"\x1b[31mred\x1b[0m", b"7331;1795227006500"):
        assert logmarks.plain(text) == text
        assert logmarks.stamps(text) == []


def test_a_line_of_ours_is_stamped_as_others() -> None:
    line = logmarks.stamped("woken", 1795227006.5).encode()
    assert (logmarks.stamps(line), logmarks.plain(line)) == ([1795227006.5], b"woken\n")


def mark(number: int) -> str:
    return f"\x1b]7331;v{number}\x07"


def test_what_each_release_wrote_is_kept_apart() -> None:
    first = logmarks.folded("", "one\n", 1, 1000)
    assert first == f"{mark(1)}one\n"
    again = logmarks.folded(first, "one more", 1, 1000)
    assert again == f"{mark(1)}one\none more"
    second = logmarks.folded(again, "two\n", 2, 1000)
    assert second == f"{mark(1)}one\none more\n{mark(2)}two\n"
    assert [number for _, number in logmarks.sections(second.encode())] == [1, 2]
    # What uWSGI moved there is of the same process.
    assert logmarks.folded("rotated\n", "rest\n", 3, 1000) == f"{mark(3)}rotated\nrest\n"


def test_a_past_log_is_cut_between_lines_and_keeps_whose_it_is() -> None:
    text = "".join(f"line {number}\n" for number in range(100))
    cut = logmarks.folded(logmarks.folded("", text, 7, 10_000), "new\n", 8, 100)
    assert cut.startswith(f"{mark(7)}line ")
    assert cut.endswith(f"line 99\n{mark(8)}new\n")
    assert len(cut) < 100 + len(mark(7))
    only = logmarks.folded("", "x" * 500, 9, 100)
    assert only == mark(9) + "x" * 100
