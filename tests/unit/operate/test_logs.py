"""Logs on disk: which lines are found, in which order, and how a growing file is read."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from piku.deploy import releases
from piku.errors import PikuError
from piku.operate import logs
from piku.paths import AppPaths

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


def write(app: AppPaths, name: str, text: str, written: float = NOON) -> Path:
    app.logs.mkdir(parents=True, exist_ok=True)
    path = app.logs / name
    path.write_text(text)
    os.utime(path, (written, written))
    return path


def shown(
    app: AppPaths, process: str = "", *, release: int | None = None, count: int = 100
) -> list[str]:
    chosen = logs.select_logs(app, logs.scan(app), process, release)
    return [line.text.decode() for line in logs.history(chosen, count)]


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("2026-11-20T12:00:01Z x", 1.0),
        ("2026-11-20 12:00:01+00:00 x", 1.0),
        ("[2026-11-20 14:00:01 +0200] [1] [INFO] x", 1.0),
        ("2026-11-20T12:00:01.250Z x", 1.25),
        ("2026-11-20T12:00:01.123456789Z x", 1.123456),
        ('1.2.3.4 - - [20/Nov/2026:12:00:01 +0000] "GET / HTTP/1.1" 200', 1.0),
        ('1.2.3.4, 5.6.7.8 - ann [20/Nov/2026:13:00:01 +0100] "GET / HTTP/1.1" 200', 1.0),
        ("x 2026-11-20T12:00:01Z", None),
        ("2026-13-20T12:00:01Z", None),
        ("2026-11-20", None),
        ("", None),
    ],
)
def test_the_time_of_a_line(line: str, seconds: float | None) -> None:
    found = logs.time_of(line.encode())
    assert found == (None if seconds is None else pytest.approx(NOON + seconds, abs=1e-6))


def test_a_time_without_a_zone_is_the_servers() -> None:
    expected = datetime(2026, 11, 20, 12, 0, 1, 500000).timestamp()
    assert logs.time_of(b"2026-11-20 12:00:01,500 INFO x") == expected
    assert logs.time_of(b"2026/11/20 12:00:01.5 x") == expected


def test_lines_are_merged_by_their_times(shop: AppPaths) -> None:
    write(shop, "web.1@1.log", "2026-11-20T11:00:00Z a\n  below a\n2026-11-20T11:00:20Z c\nlast\n")
    write(shop, "web.2@1.log", "2026-11-20T11:00:10Z b\n2099-01-01T00:00:00Z forged\n", NOON - 1)
    write(shop, "worker.1@1.log", "one\ntwo\n", NOON - 3595)
    assert [line.rpartition(" ")[2] for line in shown(shop)] == [
        "a", "a", "one", "two", "b", "c", "forged", "last",
    ]  # fmt: skip
    assert [line.rpartition(" ")[2] for line in shown(shop, count=3)] == ["c", "forged", "last"]
    assert shown(shop, process="worker") == shown(shop, process="worker.1") == ["one", "two"]


def test_of_one_second_a_later_start_comes_later(shop: AppPaths) -> None:
    write(shop, "web.1@2.log", "2026-11-20T12:00:01Z old\n", NOON + 9)  # at its end it said more
    write(shop, "web.1@3.log", "2026-11-20T12:00:01Z new\n", NOON + 5)
    assert [line[-3:] for line in shown(shop)] == ["old", "new"]


def test_which_logs(shop: AppPaths) -> None:
    write(shop, "web.1@2.log.old", "old\n", NOON - 2)
    write(shop, "web.1@2.log", "new\n", NOON - 1)
    write(shop, "web.1@3.log", "failed\n")
    write(shop, "nginx.log", "asked\n")
    write(shop, "build.log", "built\n")
    write(shop, "own.log", "of the app\n")
    (shop.logs / "web.1.log").symlink_to("web.1@2.log")
    for number, outcome in ((1, releases.SUCCEEDED), (2, releases.FAILED)):
        made = releases.new_release(
            shop, kind="push", description="", commit="", by="", outcome=outcome,
            starts=(number + 1,),
        )  # fmt: skip
        assert made.number == number
    assert shown(shop) == ["old", "new", "asked"]
    assert shown(shop, release=2) == ["failed"]
    assert shown(shop, process="build") == ["built"]
    with pytest.raises(PikuError, match="no log of 'nope'"):
        shown(shop, process="nope")
    with pytest.raises(PikuError, match="no release v3"):
        shown(shop, release=3)


def test_the_transcript_of_the_last_deploy(shop: AppPaths) -> None:
    first = "2026-11-20 11:00:00 -----> Release v1 of shop: 1234567 'It'\n"
    second = first.replace("11:0", "11:1").replace("v1", "v2")
    step = "2026-11-20 11:10:01        Building\n"
    for text, expected in (
        (first + step, first + step), (first + step + second + step * 300, second + step * 300),
        (step, step),
    ):  # fmt: skip
        write(shop, "build.log", text)
        found = logs.history(logs.select_logs(shop, logs.scan(shop), "build", None), None)
        assert "".join(f"{line.text.decode()}\n" for line in found) == expected


def test_the_last_lines_of_a_file(shop: AppPaths) -> None:
    for text in ("", "\n", "a", "a\n", "a\n\nbcdefgh\nij", "abcdefghi\n\n\n"):
        write(shop, "web.1@1.log", text)
        assert shown(shop) == (text.removesuffix("\n").split("\n") if text else [])
    write(shop, "web.1@1.log", "one\ntwo\n*** Starting uWSGI 2.0.21\n")
    assert shown(shop, count=1) == ["two"]
    assert shown(shop, count=0) == []


def test_following_a_log_that_gets_the_inode_of_a_removed_one(shop: AppPaths) -> None:
    log = write(shop, "web.1@1.log", "one\ntwo\n")
    known = logs.select_logs(shop, logs.scan(shop), "web", None)
    following = logs.follow(shop, known, "web")

    def added() -> list[str]:
        return [line.text.decode() for line in next(following)]

    assert added() == []
    log.rename(f"{log}.old")
    assert added() == []
    Path(f"{log}.old").rename(log)  # as what uWSGI makes after it has removed the older one
    log.write_text("three\nfour\nfive\n")
    assert added() == ["three", "four", "five"]
