"""Taking the figures: requests from a log of nginx's, memory and processor time from the kernel."""

import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from piku import files, locks, procfs
from piku.extras.metrics import history
from piku.extras.metrics.history import STEP, Sample
from piku.extras.metrics.request_log import folder, log
from piku.paths import AppName, AppPaths, Paths
from piku.uwsgi import emperor

LOCK = "metrics.lock"  # held while figures are taken or removed
_LARGE = 100_000  # bytes of a log of requests, which is then begun anew
_MOST = 1 << 24  # bytes that are read at a time


def ring(paths: Paths, app: str) -> Path:
    """The file with an app's figures."""
    return folder(paths) / f"{app}.ring"


def series(paths: Paths, app: AppPaths, span: int) -> tuple[int, Mapping[str, history.Points]]:
    """An app's figures of the last `span` seconds by their names, and the seconds of one step."""
    step, now = STEP if span <= history.DAY else history.HOUR, int(time.time())
    samples = history.read(ring(paths, app.name), step, now - span, now)
    return step, history.figures(list(samples), step, now)


def destroyed(paths: Paths, app: AppPaths) -> None:
    """Forget the figures of an app that is gone."""
    files.discard([ring(paths, app.name), log(paths, app.name)])


def periodic(paths: Paths) -> None:
    """Take the figures of each app."""
    if not folder(paths).is_dir():
        return
    with locks.lock(paths.uwsgi / LOCK, "measuring", patient=False):
        state = folder(paths) / "state.json"
        before, now = _known(state), int(time.time())
        states = emperor.observe(paths)
        if states is None or not folder(paths).is_dir():  # it was switched off just now
            return  # no answer is no figure: the next look has all that came since the last
        after = dict[str, dict[str, float]]()
        for name in paths.app_names():
            pids = {one.pid for vassal, one in states.items() if vassal.app == name and one.pid}
            after[name] = _sample(paths, name, now, pids, before.get(name, {}))
        files.write(state, json.dumps(after), mode=0o640)


def _known(state: Path) -> dict[str, dict[str, float]]:
    """Of each app: how far its log was read, and the processor time of each vassal then."""
    with contextlib.suppress(ValueError):
        found = json.loads(files.read(state) or "{}")
        if isinstance(found, dict):
            return found
    return {}


def _sample(
    paths: Paths, name: AppName, now: int, vassals: Iterable[int], known: Mapping[str, float]
) -> dict[str, float]:
    """Add to the figures of an app what came since the last look, of which this is known."""
    times, spent, memory = dict[str, float](), 0.0, 0
    for pid in vassals:
        # In all, for a process that ends leaves its time to its parent.
        key = f"{pid} {procfs.started(pid)}"
        times[key] = sum(map(_processor_time, (pid, *procfs.descendants(pid))))
        unseen = 0.0 if procfs.age(pid) < 2 * STEP else times[key]
        spent += max(0.0, times[key] - known.get(key, unseen))
        memory += procfs.tree_memory(pid) // 1024
    steps, offset = requests(log(paths, name), int(known.get("read", 0)), now)
    last = now - now % STEP
    for at in sorted({*steps, last}):
        old = next(history.read(ring(paths, name), STEP, at, at + STEP), Sample(at=at))
        count, errors, p50, p95 = steps.get(at, (0, 0, 0.0, 0.0))
        history.add(
            ring(paths, name),
            Sample(
                at=at, requests=old.requests + count, errors=old.errors + errors,
                p50=max(old.p50, p50), p95=max(old.p95, p95),
                memory=memory if at == last else old.memory,
                cpu=old.cpu + (spent if at == last else 0.0),
            ),
        )  # fmt: skip
    return {**times, "read": offset}


def _processor_time(pid: int) -> float:
    """Seconds of processor time of a process and of its children that have ended."""
    fields = procfs.stat(pid)
    ticks = sum(map(int, fields[11:15])) if len(fields) > 15 else 0  # proc(5): utime to cstime
    return ticks / os.sysconf("SC_CLK_TCK")


def requests(
    file: Path, offset: int, now: int
) -> tuple[dict[int, tuple[int, int, float, float]], int]:
    """What came into the log since the last look, by step: requests, those with an error of the
    server, two quantiles of the duration; and how far it is read. A large one is emptied."""
    durations: dict[int, list[float]] = {}
    errors: dict[int, int] = {}
    if not file.exists():
        return {}, 0
    with file.open("rb") as handle:
        size = os.fstat(handle.fileno()).st_size
        handle.seek(offset if offset <= size else 0)
        content = handle.read(_MOST)
        end = handle.tell()
    whole, _, rest = content.rpartition(b"\n")
    for line in whole.splitlines():
        with contextlib.suppress(ValueError):
            moment, status, duration = line.split()
            at = int(float(moment)) // STEP * STEP
            if now - history.DAY < at <= now:
                durations.setdefault(at, []).append(float(duration))
                errors[at] = errors.get(at, 0) + (status[:1] == b"5")
    if end == size > _LARGE:
        os.truncate(file, 0)  # nginx appends
        end = len(rest)
    found = {}
    for at, values in durations.items():
        values.sort()
        half, most = values[len(values) // 2], values[len(values) * 95 // 100]
        found[at] = (len(values), errors[at], half, most)
    return found, end - len(rest)
