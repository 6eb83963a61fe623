"""Measure deploys, memory and start-up on this machine; prints the tables of docs/benchmarks.md.

Runs as it is called: `make bench` drops to a throwaway user first.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import processes
from sandbox import HOST, Sandbox

CHECKOUT = Path(__file__).resolve().parent.parent
EXAMPLES = {"wsgi": ("python-wsgi", "app.py"), "web": ("web", "server.py")}
STEP = re.compile(r"is live after ([\d.]+) s \((.*)\)")


def median(values: Iterable[float]) -> float:
    return statistics.median(list(values))


def seconds(value: float) -> str:
    return f"{value:.2f}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    columns = list(head)
    print(f"\n| {' | '.join(columns)} |\n| {' | '.join(['---'] + ['---:'] * (len(columns) - 1))} |")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def timed(work: Callable[[], object]) -> float:
    begun = time.monotonic()
    work()
    return time.monotonic() - begun


# --- deploys -------------------------------------------------------------------------------------


class Seen:
    """When a text is first served, watched for on a thread."""

    def __init__(self, server: Sandbox, host: str, text: str) -> None:
        self.at = 0.0
        self._thread = threading.Thread(target=self._look, args=(server, host, text.encode()), daemon=True)
        self._thread.start()

    def _look(self, server: Sandbox, host: str, text: bytes) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if text in server.get(host)[2]:
                self.at = time.monotonic()
                return
            time.sleep(0.005)

    def wait(self) -> float:
        self._thread.join(60)
        return self.at


def measure_push(server: Sandbox, repository: Path, app: str, host: str, text: str) -> dict[str, float]:
    """One push: when its first line came, when the new text was served, and when it ended."""
    marks: dict[str, float] = {}
    steps: dict[str, float] = {}

    def line(words: str) -> None:
        now = time.monotonic()
        if "Release v" in words:
            marks.setdefault("first line", now)
        if found := STEP.search(words):
            marks["live"] = now
            steps["deploy"] = float(found[1])
            for step in found[2].split(", "):
                name, _, took = step.rpartition(" ")
                steps[name] = steps.get(name, 0) + float(took)

    seen = Seen(server, host, text)
    begun = time.monotonic()
    result = server.push(repository, app, show=line)
    ended = time.monotonic()
    if result.returncode != 0:
        raise SystemExit(result.stdout)
    return {
        "git push": ended - begun,
        "push to live": seen.wait() - begun,
        "until the first line": marks["first line"] - begun,
        "after the last line": ended - marks["live"],
        **steps,
    }


def deploys(server: Sandbox, kind: str, times: int) -> list[dict[str, float]]:
    folder, file = EXAMPLES[kind]
    repository = server.repository(kind, CHECKOUT / "examples" / folder)
    [host] = re.findall(r"NGINX_SERVER_NAME=(\S+)", (repository / "ENV").read_text())
    source = (repository / file).read_text()
    first = server.push(repository, kind)
    if first.returncode != 0:
        raise SystemExit(first.stdout)
    found = []
    for number in range(times):
        text = f"Change {number}"
        server.commit(repository, {file: re.sub(r'GREETING = ".*"', f'GREETING = "{text}"', source)})
        found.append(measure_push(server, repository, kind, host, text))
    return found


def report_deploys(server: Sandbox, times: int) -> None:
    measured = {kind: deploys(server, kind, times) for kind in EXAMPLES}
    names = list(dict.fromkeys(name for runs in measured.values() for run in runs for name in run))
    print(f"\n## Deploys when only code changed: medians of {times}, in seconds")
    table(
        ["", *measured],
        (
            [name, *(seconds(median(run.get(name, 0.0) for run in runs)) for runs in measured.values())]
            for name in names
        ),
    )
    for kind, runs in measured.items():
        print(f"\n{kind}, push to live of each: {', '.join(seconds(run['push to live']) for run in runs)}")


def report_overhead(server: Sandbox, times: int) -> None:
    """What a push needs besides the deploy itself, each part alone."""
    repository = server.client / "web"
    clone = ["git", "ls-remote", server.remote("web")]
    parts: dict[str, Callable[[], object]] = {
        "TCP connection to sshd": lambda: server.wait(lambda: subprocess.run(
            ["ssh-keyscan", "-p", str(server.ssh_port), "-t", "ed25519", HOST],
            check=False, capture_output=True,
        )),
        "ssh, `piku apps`": lambda: server.ssh("apps"),
        "`piku apps` alone": lambda: server.piku("apps"),
        "git ls-remote over ssh": lambda: subprocess.run(
            clone, check=True, cwd=repository, env=server.git_env(), capture_output=True
        ),
        "git push of nothing new": lambda: server.push(repository, "web"),
        "`git clone --shared` of the app": lambda: _clone(server),
    }  # fmt: skip
    print(f"\n## The same parts alone: medians of {times}, in seconds")
    table(
        ["", "s"],
        ([name, seconds(median(timed(work) for _ in range(times)))] for name, work in parts.items()),
    )


def _clone(server: Sandbox) -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["git", "clone", "--quiet", "--shared", str(server.root / "repos" / "web"), f"{folder}/x"],
            check=True,
        )


# --- memory --------------------------------------------------------------------------------------


def pss(pid: int) -> float:
    """Proportional set size of a process in MB."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def by_program(server: Sandbox) -> dict[str, list[float]]:
    """The memory of each of the platform's processes, by what they are."""
    found: dict[str, list[float]] = {}
    for process in sorted(processes.tree(server.platform_pid()), key=lambda process: process.pid):
        command = str(process).partition(" ")[2]
        vassal = re.search(r"--ini (\S+)@\d+\.", command)
        if vassal:
            name = f"{vassal[1]}: its uWSGI"
        elif "uwsgi" in Path(command.split(" ")[0]).name:
            name = "uWSGI emperor"
        else:
            name = Path(command.split(" ")[0].rstrip(":")).name
        name = {"bash": "supervisor (bash)", "python3": "web: its program"}.get(name, name)
        found.setdefault(name, []).append(pss(process.pid))
    return found


def report_memory(title: str, server: Sandbox) -> None:
    found = by_program(server)
    print(f"\n## Memory, {title}: PSS in MB")
    rows = [[name, str(len(each)), f"{sum(each):.1f}"] for name, each in found.items()]
    every = [value for each in found.values() for value in each]
    table(["", "processes", "MB"], [*rows, ["all", str(len(every)), f"{sum(every):.1f}"]])


# --- the command line ----------------------------------------------------------------------------


def report_start_up(server: Sandbox, times: int) -> None:
    python = "/usr/bin/python3"
    commands = {
        "`piku apps`": [str(CHECKOUT / "bin" / "piku"), "apps"],
        '`python3 -c "import click"`': [python, "-c", "import click"],
        "`python3 -c pass`": [python, "-c", "pass"],
    }
    took: dict[str, list[float]] = {name: [] for name in commands}
    environment = server.server_env()
    for _ in range(times):
        for name, command in commands.items():
            run = lambda argv=command: subprocess.run(argv, check=True, env=environment, capture_output=True)  # noqa: E731
            took[name].append(timed(run))
    medians = {name: median(values) for name, values in took.items()}
    print(f"\n## Start-up, interleaved: medians of {times}")
    base = medians['`python3 -c "import click"`']
    table(["", "ms", "ratio"], ([n, f"{m * 1000:.0f}", f"{m / base:.2f}"] for n, m in medians.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="pushes of each kind (default: 5)")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} at the start")
    base = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        with Sandbox(CHECKOUT, base) as server:
            report_start_up(server, 25)
            report_memory("an idle server without apps", server)
            report_deploys(server, arguments.times)
            report_overhead(server, 5)
            report_memory("the same with both examples", server)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
