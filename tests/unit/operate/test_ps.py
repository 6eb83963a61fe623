"""Requests per minute from the ends of logs, and tables that fit."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from piku.cli import ps_view, tables
from piku.cli.tables import Column
from piku.extras.status import requests
from piku.operate.ps import Row
from piku.operate.summary import Summary, Totals

NOW = 1_795_000_000.0


def line(ago: float, took: int = 0) -> str:
    """An access line of uWSGI for a request that began so many seconds ago."""
    clock = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(NOW - ago))
    return f'127.0.0.1 - - [{clock}] "GET / HTTP/1.1" 200 5 "-" "-" {took}ms\n'


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    os.utime(path, (NOW, NOW))
    return path


def counted(log: Path, *, at_end: bool = False) -> int:
    return requests.count([log, Path(f"{log}.old")], NOW, at_end=at_end)


def test_only_the_last_minute_counts(tmp_path: Path) -> None:
    log = written(
        tmp_path / "log", line(90) + line(61) + "the app says\n" + line(59) + line(3) + "more\n"
    )
    assert counted(log) == 2
    assert counted(tmp_path / "none") == 0
    # By its end, which for uWSGI is some time after its beginning.
    assert counted(written(log, line(70, took=20_000) + line(5))) == 2
    assert counted(written(log, line(70, took=20_000) + line(5)), at_end=True) == 1
    os.utime(log, (NOW - 61, NOW - 61))
    assert counted(log) == 0


def test_what_was_rotated_away_meanwhile_counts(tmp_path: Path) -> None:
    log = written(tmp_path / "log", line(10) * 2)
    written(tmp_path / "log.old", line(70) + line(30) * 5)
    assert counted(log) == 7


def test_a_minute_that_wrote_more_than_is_read_is_told_from_its_end(tmp_path: Path) -> None:
    text = "".join(line(ago) * 400 for ago in range(59, -1, -1))  # 24000 requests, some 1.7 MB
    found = counted(written(tmp_path / "log", text))
    assert found == pytest.approx(24_000, rel=0.1)


# --- tables --------------------------------------------------------------------------------------

COLUMNS = (
    Column(head="APP", long=True), Column(head="STATE"), Column(head="CPU", number=True, spare=1),
    Column(head="UPTIME", number=True, spare=2),
)  # fmt: skip
ROWS = (("shop", "up", "1.0%", "3h"), ("a-name-that-is-long", "starting", "100.0%", "12m"))


def test_a_table_without_bounds_is_whole() -> None:
    assert tables.lines(COLUMNS, ROWS, None) == [
        "APP                  STATE        CPU  UPTIME",
        "shop                 up          1.0%      3h",
        "a-name-that-is-long  starting  100.0%     12m",
    ]
    assert tables.lines(COLUMNS, (), 80) == []


def test_a_narrow_table_leaves_out_and_shortens() -> None:
    assert tables.lines(COLUMNS, ROWS, 45) == tables.lines(COLUMNS, ROWS, None)
    assert tables.lines(COLUMNS, ROWS, 44)[2] == "a-name-that-is-long  starting     12m"
    assert tables.lines(COLUMNS, ROWS, 30)[2] == "a-name-that-is-long  starting"
    assert tables.lines(COLUMNS, ROWS, 24)[1:] == ["shop            up", "a-name-that-i…  starting"]
    for room in range(1, 60):
        assert max(map(len, tables.lines(COLUMNS, ROWS, room))) <= room


def row(worker: str, **more: object) -> Row:
    values = {
        "release": 3,
        "pid": 7,
        "state": "up",
        "uptime": 90,
        "memory": 12 * 2**20,
        "address": "",
        "cpu": 1.25,
    }
    return Row(worker=worker, **{**values, **more})  # type: ignore[arg-type]


def test_the_overview_at_80_columns() -> None:
    apps = [
        Summary(
            app="shop", state="up", release=3, requests_per_minute=312, counted_by_nginx=312,
            processes=(
                row("web.1", address="127.0.0.1:1"), row("web.2", address="127.0.0.1:2"),
                row("worker.1", state="crashing", restarts=5, exit_code=2), row("run.1", state="running"),
            ),
        ),
        Summary(app="sleepy", state="asleep", release=1, processes=(row("web.1", state="asleep", pid=0),)),
        Summary(app="pages", state="up", release=2, requests_per_minute=4, counted_by_nginx=4),
        *(Summary(app=f"old-application-{number}", state="stopped", release=1) for number in range(6)),
        Summary(app="torn", state="unknown", error="live.json is damaged"),
    ]  # fmt: skip
    totals = Totals(
        apps=10, processes=4, memory=48 * 2**20, available=900 * 2**20, requests_per_minute=316
    )
    lines, remarks = ps_view.of_all(apps, totals, 80)
    assert lines == [
        "APP    PROCESS   RELEASE  STATE      CPU   MEMORY  RESTARTS  UPTIME  REQ/MIN",
        "shop   web.1     v3       up        1.2%  12.0 MB         0      1m      312",
        "shop   web.2     v3       up        1.2%  12.0 MB         0      1m",
        "shop   worker.1  v3       crashing  1.2%  12.0 MB         5      1m        -",
        "shop   run.1     v3       running   1.2%  12.0 MB         0      1m        -",
        "pages  static    v2       up           -        -         -       -        4",
        "",
        "asleep: sleepy",
        "stopped: old-application-0, old-application-1, old-application-2,",
        "  old-application-3, old-application-4, old-application-5",
        "",
        "4 processes of 10 apps, 48.0 MB; 900 MB available; 316 requests/min",
    ]
    assert remarks == [
        " !     torn: live.json is damaged",
        " !     worker.1 of shop keeps ending with exit code 2; see: piku ps shop",
    ]
