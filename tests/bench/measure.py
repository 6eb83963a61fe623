"""Rows of figures, and the tools that take them: hyperfine, wrk, /proc."""

import contextlib
import json
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import processes


@dataclass(frozen=True, kw_only=True)
class Row:
    """One figure beside its floor. `limit` is the ratio of the medians that it must reach: at most,
    or at least where `more` is better; 0 for none."""

    group: str
    name: str
    unit: str
    ours: Sequence[float]
    floor: Sequence[float] = ()
    limit: float = 0
    more: bool = False


@dataclass(kw_only=True)
class Results:
    """All that was measured; `series` is what the plots show."""

    rows: list[Row] = field(default_factory=list)
    series: dict[str, object] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        said = ", ".join(
            "/".join(f"{each:.3g}" for each in sorted(values)) for values in (row.ours, row.floor)
        )
        print(f"{row.group}: {row.name}: {said} {row.unit}", file=sys.stderr, flush=True)


def alternating(
    commands: Callable[[int], Sequence[Sequence[str]]], env: Mapping[str, str], runs: int
) -> list[list[float]]:
    """The seconds that each of these commands took, one after the other, over and over. What
    `commands` does to make ready for a run does not count."""
    found: list[list[float]] = []
    for number in range(runs):
        lines = [shlex.join(words) for words in commands(number)]
        found = found or [[] for _ in lines]
        with tempfile.NamedTemporaryFile() as report:
            options = ["-N", "--runs", "1", "--style", "none", "--export-json", report.name]
            done = subprocess.run(
                ["hyperfine", *options, *lines],
                check=False, env=dict(env), cwd=env["HOME"], capture_output=True, text=True,
            )  # fmt: skip
            if done.returncode != 0:
                raise SystemExit(f"{lines}\n{done.stdout}{done.stderr}")
            for times, result in zip(found, json.load(report)["results"], strict=True):
                times += result["times"]
    return found


def rate(port: int, path: str, *, tls: bool) -> float:
    """Requests a second over 16 kept connections, for a second."""
    url = f"{'https' if tls else 'http'}://localhost:{port}{path}"
    command = ["wrk", "-t1", "-c16", "-d1s", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if bad := re.search(r"Socket errors.*|Non-2xx.*", said):
        raise SystemExit(f"{url}: {bad[0]}")
    return float(re.findall(r"Requests/sec:\s+([\d.]+)", said)[0])


def megabytes(found: Iterable[processes.Process]) -> float:
    """The proportional set size of these processes together."""
    total = 0
    for process in found:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        total += int(re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[0])
    return total / 1024


def written(*roots: int) -> int:
    """The bytes that these processes, and all that they have started and waited for, have had
    written to the disk (proc(5), "write_bytes")."""
    total = 0
    for process in processes.tree(*roots):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{process.pid}/io").read_text()
            total += int(re.findall(r"^write_bytes: (\d+)", text, re.MULTILINE)[0])
    return total


def peaks(command: Sequence[str], env: Mapping[str, str]) -> dict[str, float]:
    """The largest resident size of each program of piku's while a command runs, in MB, by what it
    is: looked at every few milliseconds, for the kernel keeps each process's highest value."""
    found: dict[str, float] = {}
    with subprocess.Popen(command, env=dict(env), cwd=env["HOME"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:  # fmt: skip
        while running.poll() is None:
            for process in processes.running():
                with contextlib.suppress(OSError, IndexError):
                    words = str(process).split()[1:]
                    if "python" in words[0] and any(word.endswith("bin/piku") for word in words):
                        status = Path(f"/proc/{process.pid}/status").read_text()
                        size = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
                        name = " ".join(Path(word).name for word in words[1:] if word[0] != "-")
                        found[name] = max(found.get(name, 0), size)
            time.sleep(0.003)
    return found


def clock(action: Callable[[], object]) -> float:
    """The seconds that it takes."""
    begun = time.monotonic()
    action()
    return time.monotonic() - begun
