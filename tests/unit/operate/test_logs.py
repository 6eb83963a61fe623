"""Which lines of which logs are shown, in which order."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from piku.deploy import records
from piku.deploy.records import Activation, Process
from piku.errors import PikuError
from piku.operate import logfiles, loglines, logs
from piku.operate.logs import Logs, Wanted
from piku.paths import AppPaths

ACCESS = '127.0.0.1 - - [21/Nov/2026:02:10:{:02} +0000] "GET / HTTP/1.1" 200 5 "-" "-" {}ms\n'
NOON = 1_795_000_000.0


def stamped(text: str, seconds: float) -> str:
    return f"\x1b]7331;{(NOON + seconds) * 1000:.0f}\x07{text}"


@pytest.fixture
def written(shop: AppPaths) -> AppPaths:
    """An app whose second release is live and whose third failed."""
    for number in (1, 2, 3):
        outcome = records.FAILED if number == 3 else records.SUCCEEDED
        release = records.new_release(shop, kind="push", description="", commit="c", by="me")
        records.save_release(shop, replace(release, outcome=outcome))
        made = Activation(
            number=number * 5, release=number, checkout="c",
            processes=tuple(Process(kind="web", instance=i, origin=number * 5) for i in (1, 2)),
        )  # fmt: skip
        records.save_activation(shop, made)
        if number == 2:
            records.commit(shop, made)
    shop.logs.mkdir()
    for name, text in {
        "web.1.log.old": "\x1b]7331;v1\x07" + stamped("old 1\nold 2\n", 1),
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
def test_a_type_or_one_process_or_one_that_is_gone(written: AppPaths, name: str, workers: set[str]) -> None:
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
def test_as_many_as_asked_for(written: AppPaths, wanted: dict[str, object], expected: list[str]) -> None:
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
    (written.logs / "cron-hourly.1.log.old").write_text("-----> 2026-11-21 01:10:05 UTC begins\nbefore\n")
    (written.logs / "cron-hourly.1.log").write_text("-----> 2026-11-21 02:10:05 UTC begins\nprinted\n")
    assert lines(written, "cron-hourly")[1::2] == ["cron-hourly.1: before", "cron-hourly.1: printed"]
    assert set(lines(written, "cron-hourly")) < set(lines(written))


def test_the_transcript_of_deploys(written: AppPaths) -> None:
    written.build_log.write_text("2026-11-21 02:10:05 one\nmore of one\n2026-11-21 02:10:06 two\n")
    Path(f"{written.build_log}.old").write_text("2026-11-20 02:10:05 zero\n")
    found = logs.transcript(written, Wanted(count=3))
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
    text = stamped("one\ntwo\n", -9) + stamped("par", -8) + stamped("tial\n", -7) + stamped("\n", -6)
    assert read(tmp_path, text.encode()) == [
        (NOON - 9, b"one"), (NOON - 9, b"two"), (NOON - 8, b"partial"), (NOON - 6, b""),
    ]  # fmt: skip


def test_without_stamps_the_access_lines_tell_the_time(tmp_path: Path) -> None:
    text = "start\n" + ACCESS.format(5, 1500) + "in a request\n" + ACCESS.format(9, 0) + "later\n"
    began = 1_795_227_000.0  # 21/Nov/2026:02:10:00 +0000
    path = tmp_path / "0.log"
    found = read(tmp_path, text.encode())
    assert [time for time, _ in found] == sorted(time for time, _ in found)
    assert [text.split()[0] for _, text in found] == [b"start", b"127.0.0.1", b"in", b"127.0.0.1", b"later"]
    os.utime(path, (began + 3600, began + 3600))
    part = loglines.open_part(path, 1)
    times = [line.time - began for line in loglines.lines("wsgi.1", [part])][::-1]
    os.close(part.handle)
    assert times == [6.5, 6.5, 9, 9, 3600]


def test_a_line_that_a_rotation_cut_is_whole(tmp_path: Path) -> None:
    remark = b"Sat Nov 21 02:31:39 2026 - logsize: 76814, triggering rotation to /x/web.1.log.old...\n"
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
