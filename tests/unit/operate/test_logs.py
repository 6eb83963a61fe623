"""Which lines of which logs are shown, in which order."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from piku.deploy import health, releases
from piku.deploy.releases import Live, Process
from piku.errors import PikuError
from piku.operate import log_archive, log_timestamps, logfiles, loghistory, loglines, logs
from piku.operate.logs import Logs, Wanted
from piku.paths import AppPaths

ACCESS = '127.0.0.1 - - [21/Nov/2026:02:10:{:02} +0000] "GET / HTTP/1.1" 200 5 "-" "-" {}ms\n'
NOON = 1_795_000_000.0


def stamped(text: str, seconds: float) -> str:
    return f"\x1b]7331;{(NOON + seconds) * 1000:.0f}\x07{text}"


def head(release: int, activation: int, seconds: float, text: str) -> str:
    section = log_timestamps.Section(
        activation, NOON + seconds, 0, len(stamped(text, seconds).encode())
    )
    return log_timestamps.section_head(section, release).decode()


@pytest.fixture
def written(shop: AppPaths) -> AppPaths:
    """An app whose second release is live and whose third failed."""
    for number in (1, 2, 3):
        outcome = releases.FAILED if number == 3 else releases.SUCCEEDED
        release = releases.new_release(shop, kind="push", description="", commit="c", by="me")
        releases.save_release(shop, replace(release, outcome=outcome))
        made = Live(
            number=number * 5, release=number, checkout="c",
            processes=tuple(Process(kind="web", instance=i, start=number * 5) for i in (1, 2)),
        )  # fmt: skip
        releases.save_activation(shop, made)
        if number == 2:
            releases.commit(shop, made)
    shop.logs.mkdir()
    for name, text in {
        "web.1.log.old": head(1, 5, 1, "old 1\nold 2\n") + stamped("old 1\nold 2\n", 1),
        "web.1@10.log": stamped("live 1\n", 2) + stamped("live ", 4) + stamped("2\n", 4.5),
        "web.2@10.log": stamped("second\n", 3), "web.1@15.log": stamped("failed\n", 5),
        "api.1.log.old": stamped("api\n", 6), "build.log": "not a process\n",
    }.items():  # fmt: skip
        (shop.logs / name).write_text(text)
    (shop.logs / "web.1.log").symlink_to("web.1@10.log")
    return shop


def lines(app: AppPaths, name: str = "", release: int | None = None, **wanted: object) -> list[str]:
    found = Logs(app, name, release=release).history(Wanted(**wanted))  # type: ignore[arg-type]
    return [f"{line.worker}: {line.text.decode()}" for line in found]


def test_all_that_is_live_in_the_order_of_time(written: AppPaths) -> None:
    assert lines(written) == [
        "web.1: old 1", "web.1: old 2", "web.1: live 1", "web.2: second", "web.1: live 2",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "workers"), [("web", {"web.1", "web.2"}), ("web.2", {"web.2"}), ("api", {"api.1"})]
)
def test_a_type_or_one_process_or_one_that_is_gone(
    written: AppPaths, name: str, workers: set[str]
) -> None:
    assert {line.partition(":")[0] for line in lines(written, name)} == workers


def test_one_releases_lines(written: AppPaths) -> None:
    assert lines(written, release=3) == ["web.1: failed"]
    assert lines(written, "web", 2) == ["web.1: live 1", "web.2: second", "web.1: live 2"]
    assert lines(written, release=1) == ["web.1: old 1", "web.1: old 2"]
    with pytest.raises(PikuError, match="shop has no release v9"):
        lines(written, release=9)


def test_without_anything_live_all_is_shown(written: AppPaths) -> None:
    written.live_record.unlink()
    assert lines(written)[-2:] == ["web.1: failed", "api.1: api"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"count": 0}, []),
        ({"count": 1}, ["live 2"]),
        ({"count": 2}, ["live 1", "live 2"]),
        ({"since": NOON + 2}, ["live 1", "live 2"]),
        ({"text": "OLD"}, []),
        ({"text": "old"}, ["old 1", "old 2"]),
        ({"text": "2", "count": 1}, ["live 2"]),
    ],
)
def test_as_many_as_asked_for(
    written: AppPaths, wanted: dict[str, object], expected: list[str]
) -> None:
    assert lines(written, "web.1", **wanted) == [f"web.1: {line}" for line in expected]


@pytest.mark.parametrize("name", ["we", "web.3", "build", "web.1.log", "*"])
def test_what_never_logged_is_refused_with_what_did(written: AppPaths, name: str) -> None:
    with pytest.raises(PikuError, match="has no log of") as error:
        logfiles.chosen(written, name)
    assert error.value.hint == "there are: api.1, web.1, web.2, build"


def test_an_app_that_never_ran_has_no_logs(shop: AppPaths) -> None:
    assert lines(shop) == []


def test_what_nginx_notes_is_merged_by_its_own_times(written: AppPaths) -> None:
    (written.logs / "nginx.log").write_text(ACCESS.format(7, 0))  # 2026-11-21: after NOON
    assert lines(written)[-1].startswith("nginx: 127.0.0.1")
    assert lines(written, "nginx") == lines(written)[-1:]
    assert lines(written, release=2) == ["web.1: live 1", "web.2: second", "web.1: live 2"]


def test_scheduled_jobs_have_plain_files(written: AppPaths) -> None:
    for name, text, seconds in (("1.log.old", "before", 1), ("1.log", "printed", 2)):
        lines_of_it = stamped("-----> 2026-11-21 01:10:05 UTC begins\n", seconds) + f"{text}\n"
        (written.logs / f"cron-hourly.{name}").write_text(lines_of_it)
    assert lines(written, "cron-hourly")[1::2] == [
        "cron-hourly.1: before",
        "cron-hourly.1: printed",
    ]
    assert set(lines(written, "cron-hourly")) < set(lines(written))


def test_the_transcript_of_deploys(written: AppPaths) -> None:
    written.build_log.write_text("2026-11-21 02:10:05 one\nmore of one\n2026-11-21 02:10:06 two\n")
    Path(f"{written.build_log}.old").write_text("2026-11-20 02:10:05 zero\n")
    found = list(logs.transcript(written, Wanted(count=3)))
    assert [line.text.decode().split()[-1] for line in found] == ["one", "one", "two"]
    assert [line.text for line in logs.transcript(written, Wanted(text="zero"))] == [
        b"2026-11-20 02:10:05 zero"
    ]


# --- the lines of one file -----------------------------------------------------------------------


def read(folder: Path, *contents: bytes, worker: str = "web.1") -> list[tuple[float, bytes]]:
    """Time and text of the lines of a log in several files, the oldest first."""
    parts = []
    for number, content in enumerate(contents):
        path = folder / f"{number}.log"
        path.write_bytes(content)
        os.utime(path, (NOON, NOON))
        parts.append(loglines.open_part(path, 1))
    found = [(line.time, line.text) for line in loglines.lines(worker, reversed(parts))]
    for part in parts:
        os.close(part.handle)
    return found[::-1]


def test_a_stamp_holds_for_what_was_read_with_it(tmp_path: Path) -> None:
    text = (
        stamped("one\ntwo\n", -9) + stamped("par", -8) + stamped("tial\n", -7) + stamped("\n", -6)
    )
    assert read(tmp_path, text.encode()) == [
        (NOON - 9, b"one"), (NOON - 9, b"two"), (NOON - 8, b"partial"), (NOON - 6, b""),
    ]  # fmt: skip


def test_without_stamps_the_access_lines_tell_the_time(tmp_path: Path) -> None:
    text = "start\n" + ACCESS.format(5, 1500) + "in a request\n" + ACCESS.format(9, 0) + "later\n"
    began = 1_795_227_000.0  # 21/Nov/2026:02:10:00 +0000
    path = tmp_path / "0.log"
    found = read(tmp_path, text.encode())
    assert [time for time, _ in found] == sorted(time for time, _ in found)
    assert [text.split()[0] for _, text in found] == [
        b"start",
        b"127.0.0.1",
        b"in",
        b"127.0.0.1",
        b"later",
    ]
    os.utime(path, (began + 3600, began + 3600))
    part = loglines.open_part(path, 1)
    times = [line.time - began for line in loglines.lines("wsgi.1", [part])][::-1]
    os.close(part.handle)
    assert times == [6.5, 6.5, 9, 9, 3600]


def test_a_line_that_a_rotation_cut_is_whole(tmp_path: Path) -> None:
    remark = (
        b"Sat Nov 21 02:31:39 2026 - logsize: 76814, triggering rotation to /x/web.1.log.old...\n"
    )
    assert [text for _, text in read(tmp_path, b"one\ntw" + remark, b"o\nthree\n")] == [
        b"one",
        b"two",
        b"three",
    ]
    assert [text for _, text in read(tmp_path, b"one\n" + remark, b"two\n")] == [b"one", b"two"]


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_come_out_as_they_went_in(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    monkeypatch.setattr(loglines, "_BLOCK", chance.choice([1, 7, 100, 1 << 16]))
    monkeypatch.setattr(loglines, "_GROUP", chance.choice([1, 100, 1 << 16]))
    monkeypatch.setattr(loglines, "_TIMES", chance.choice([0, 1, 16]))
    expected = [
        bytes(chance.choice(b"ab\0\r\xff\x1b]7;") for _ in range(chance.choice([0, 1, 20, 300])))
        for _ in range(chance.randrange(40))
    ]
    content = b"".join(line + b"\n" for line in expected)
    pieces, rest = [], content
    while rest:
        size = chance.randrange(1, 200)
        pieces.append(stamped("", -9).encode() + rest[:size])
        rest = rest[size:]
    assert [text for _, text in read(tmp_path, b"".join(pieces))] == expected
    assert [text for _, text in read(tmp_path, content)] == expected
    assert [text for _, text in read(tmp_path, content + b"no end")] == [*expected, b"no end"]


def test_a_line_without_end_is_shown_in_pieces(tmp_path: Path) -> None:
    content = b"x" * (3 * loglines.LONGEST + 5)
    found = [text for _, text in read(tmp_path, content)]
    assert b"".join(found) == content
    assert max(map(len, found)) < 2 * loglines.LONGEST


# --- what others had written into a log ----------------------------------------------------------


def ago(text: str) -> str:
    """As a client writes it that knows our stamps."""
    return f"\x1b]7331;0000000000000\x07{text}"


@pytest.mark.parametrize("group", [1, 200, 1 << 16])
def test_a_forged_stamp_takes_no_other_line_with_it(
    tmp_path: Path, group: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loglines, "_GROUP", group)
    said = [stamped(f"line {number}\n", number - 100) for number in range(90)]
    for place, forged in (
        (5, f"header: {ago('x')}\n"), (50, ago("on a line of its own\n")), (60, ago("a\n") + ago("b\n")),
        (70, stamped("tomorrow\n", 90_000)), (80, stamped("a bit later\n", -1)),
    ):  # fmt: skip
        said[place] += forged
    found = read(tmp_path, "".join(said).encode())
    times = [time - NOON for time, text in found if text.startswith(b"line")]
    assert times == [number - 100 for number in range(90)]
    assert [time for time, _ in found] == sorted(time for time, _ in found)
    assert len(found) == 96


def test_the_log_of_what_uwsgi_serves_holds_no_stamps(tmp_path: Path) -> None:
    text = f"one {ago('two')}\n{ago('three')}\n{stamped('four', -5)}\n".encode()
    assert read(tmp_path, text, worker="wsgi.1") == [
        (NOON, line) for line in text.split(b"\n")[:-1]
    ]


def test_dates_that_an_app_writes_are_not_those_of_its_lines(tmp_path: Path) -> None:
    asked = [ACCESS.format(second, 0) for second in range(5, 9)]
    text = "".join(
        f"2019-01-01 00:00:00 row\n2026-11-21 09:10:05 INFO elsewhere\n{line}" for line in asked
    )
    path = tmp_path / "0.log"
    path.write_text(text)
    began = 1_795_227_000.0
    os.utime(path, (began + 60, began + 60))
    part = loglines.open_part(path, 1)
    found = [line.time - began for line in loglines.lines("wsgi.1", [part])][::-1]
    assert found == [second for second in range(5, 9) for _ in range(3)]


def test_an_app_that_prints_the_access_lines_of_others_hides_nothing(tmp_path: Path) -> None:
    asked = [ACCESS.format(second, 0) for second in range(40)]
    asked[20] = ACCESS.replace("2026", "2001").format(1, 0) + asked[20]
    path = tmp_path / "0.log"
    path.write_text("".join(asked))
    part = loglines.open_part(path, 1)
    found = [line.time for line in loglines.lines("wsgi.1", [part])][::-1]
    assert found[0] == 1_795_227_000.0 and found == sorted(found) and len(found) == 41


def test_a_forged_mark_of_a_release_is_none(written: AppPaths) -> None:
    forged = stamped("an\n", 1.5) + "\x1b]7331;v2\x07other\n" + head(2, 10, 1, "x" * 9) + "third\n"
    section = log_timestamps.Section(5, NOON + 1.5, 0, len(forged))
    (written.logs / "web.1.log.old").write_text(
        log_timestamps.section_head(section, 1).decode() + forged
    )
    assert lines(written, "web.1", 1) == ["web.1: an", "web.1: other", "web.1: third"]
    assert lines(written, "web.1", 2) == ["web.1: live 1", "web.1: live 2"]


# --- what uWSGI moved away, and what is added to it ----------------------------------------------

START = "*** Starting uWSGI 2.0.21-debian (64bit) on [Thu Jan  1 00:00:00 1970] ***\n"


def moved(folder: Path, name: str, text: str, seconds: float) -> Path:
    path = folder / name
    path.write_text(text)
    os.utime(path, (NOON + seconds, NOON + seconds))
    return path


def test_what_was_moved_away_while_an_older_release_was_stopping(written: AppPaths) -> None:
    """The first release is not folded yet, and the second has already filled its log once."""
    old = moved(written.logs, "web.1.log.old", START + stamped("two, first\n", 20), 21)
    first = moved(
        written.logs, "web.1@5.log", START + stamped("one\n", 1) + stamped("one, late\n", 22), 22
    )
    moved(written.logs, "web.1@10.log", stamped("two, then\n", 23), 23)
    two = ["web.1: two, first", "web.1: two, then"]
    for _ in range(2):
        assert [line for line in lines(written, "web.1", 2) if "***" not in line] == two
        found = [line for line in lines(written, "web.1", 1) if "***" not in line]
        assert found == ["web.1: one", "web.1: one, late"]
        assert [line.partition(": ")[2] for line in lines(written, "web.1") if "***" not in line] == [
            "one", "two, first", "one, late", "two, then",
        ]  # fmt: skip
        if first.exists():
            assert log_archive.fold(old, first, 5, {5: 1, 10: 2}.__getitem__, 1 << 20)
            first.unlink()
    assert [(section.activation, release) for section, release in log_timestamps.sections(old.read_bytes())] == [
        (5, 1), (10, 2),
    ]  # fmt: skip


def test_what_a_process_itself_moved_away_stays_in_front(tmp_path: Path) -> None:
    old = moved(tmp_path, "web.1.log.old", START + stamped("first\n", 1), 2)
    log = moved(tmp_path, "web.1@5.log", stamped("rest", 2.5), 3)
    moved(tmp_path, "web.1@6.log", START + stamped("live\n", 2.9), 3)
    assert log_archive.moved_by(old, "web.1", old.stat().st_mtime) == 5
    assert log_archive.fold(old, log, 5, lambda number: number * 10, 1 << 20)
    [(section, release)] = log_timestamps.sections(old.read_bytes())
    assert (section.activation, release, section.written) == (5, 50, NOON + 3)
    assert log_timestamps.plain(old.read_bytes()) == f"{START}first\nrest\n".encode()
    assert old.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "web.1.log.old",
        "web.1@5.log",
        "web.1@6.log",
    ]


def test_a_past_log_is_cut_between_lines_and_keeps_whose_it_is(tmp_path: Path) -> None:
    old = tmp_path / "web.1.log.old"
    for number, text in ((7, "".join(f"line {number}\n" for number in range(100))), (8, "new\n")):
        log = moved(tmp_path, f"web.1@{number}.log", text, number)
        assert log_archive.fold(old, log, number, lambda one: one, 100)
        log.unlink()
    content = old.read_bytes()
    assert [release for _, release in log_timestamps.sections(content)] == [7, 8]
    kept = log_timestamps.plain(content)
    assert kept.startswith(b"line ") and kept.endswith(b"line 99\nnew\n") and 90 < len(kept) <= 100
    log = moved(tmp_path, "web.1@9.log", "x" * 500, 9)
    assert log_archive.fold(old, log, 9, lambda one: one, 100)
    assert log_timestamps.plain(old.read_bytes()) == b"x" * 100 + b"\n"


# --- the last lines, as evidence -----------------------------------------------------------------


def test_the_last_lines_of_a_large_log(tmp_path: Path) -> None:
    log = tmp_path / "web.1@5.log"
    assert health.last_lines(log) == ()
    with log.open("w") as file:
        for _ in range(300):
            file.write(stamped("x" * 1000 + "\n", 1))
        file.write(
            stamped("why\x1b]0;owned\x07 it ", 2) + stamped("\x1b[31mbroke\x1b[0m\n\n", 3) + START
        )
    last = health.last_lines(log, 3)
    assert last == ("x" * 1000, "x" * 1000, r"why\x1b]0;owned\x07 it " + "\x1b[31mbroke\x1b[0m")
    log.write_text("y" * 200_000)
    assert health.last_lines(log) == ("y" * 65536,)


# --- more than fits into memory ------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted", [{}, {"text": "7"}, {"count": 150}, {"since": NOON + 100}, {"count": 0}]
)
def test_lines_that_are_read_again_are_the_same(
    written: AppPaths, wanted: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    for name in ("web.1@10.log", "web.2@10.log"):
        text = "".join(
            stamped(f"{name} {number}\n", number + chance.random()) for number in range(300)
        )
        (written.logs / name).write_text(text)
    expected = lines(written, **wanted)
    monkeypatch.setattr(loghistory, "_AT_ONCE", 3000)
    monkeypatch.setattr(loglines, "_GROUP", 500)
    assert lines(written, **wanted) == expected
    assert len(expected) == len(set(expected))
