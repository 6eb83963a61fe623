"""Figures over time: what is kept, and that it takes no more room."""

import os
from pathlib import Path

from piku.extras.metrics import history, sampling
from piku.extras.metrics.history import DAY, HOUR, STEP, Sample

T = 1_800_000_000 // DAY * DAY


def test_a_year_takes_as_much_as_a_month(tmp_path: Path) -> None:
    ring = tmp_path / "ring"
    for at in range(T, T + 365 * DAY, HOUR // 2):  # every place is reached
        history.add(ring, Sample(at=at - at % STEP, requests=1, p95=0.5))
    assert ring.stat().st_size == history.SIZE < 50_000
    now = T + 365 * DAY
    kept = list(history.read(ring, HOUR, now - 40 * DAY, now))
    assert kept[0].at == now - 31 * DAY
    assert all(one.requests == 2 for one in kept)


def test_an_hour_is_what_its_steps_were(tmp_path: Path) -> None:
    ring = tmp_path / "ring"
    history.add(ring, Sample(at=T, requests=10, errors=1, p50=0.1, p95=0.3, memory=7, cpu=1.5))
    history.add(ring, Sample(at=T + STEP, requests=30, errors=2, p50=0.3, p95=0.2, memory=9, cpu=1))
    [hour] = history.read(ring, HOUR, T, T + HOUR)
    assert (hour.requests, hour.errors, hour.memory, hour.cpu) == (40, 3, 9, 2.5)
    assert round(hour.p50, 5) == 0.25 and round(hour.p95, 5) == 0.3
    assert [one.requests for one in history.read(ring, STEP, T, T + DAY)] == [10, 30]
    # What is in a place from a day ago is not of today.
    assert list(history.read(ring, STEP, T + DAY, T + 2 * DAY)) == []


def test_what_has_only_begun_is_not_counted_yet() -> None:
    samples = [Sample(at=at, requests=60, p95=0.5, memory=7, cpu=12) for at in (T, T + STEP)]
    found = history.figures(samples, STEP, T + STEP + 5)
    assert [found[name] for name in ("requests", "p95")] == [[(T, 30.0)], [(T, 0.5)]]
    assert found["memory"] == [(T, 7 * 1024.0), (T + STEP, 7 * 1024.0)]
    assert found["processors"][1] == (T + STEP, 0.1)


def test_requests_of_a_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    lines = [f"{T + second}.5 {500 if second == 7 else 200} 0.{second:03}" for second in range(100)]
    log.write_text("\n".join(lines) + "\nnonsense\n1 2\n12.")
    found, read = sampling.requests(log, 0, T + STEP)
    assert found == {T: (100, 1, 0.05, 0.095)}
    assert read == log.stat().st_size - 3  # a line without an end is read again
    assert sampling.requests(log, read, T + STEP) == ({}, read)
    # nginx has been told of another file, or this one was emptied.
    assert sampling.requests(log, read + 1000, T + STEP)[0] == found


def test_a_large_log_is_emptied(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(f"{T} 200 0.1\n" * 10_000)
    found, read = sampling.requests(log, 0, T)
    assert found[T][0] == 10_000
    assert (log.stat().st_size, read) == (0, 0)


def test_no_log(tmp_path: Path) -> None:
    assert sampling.requests(tmp_path / "none", 5, T) == ({}, 0)
    assert os.listdir(tmp_path) == []
