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

import inventory
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
        self._thread = threading.Thread(
            target=self._look, args=(server, host, text.encode()), daemon=True
        )
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


def measure_push(
    server: Sandbox, repository: Path, app: str, host: str, text: str
) -> dict[str, float]:
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
        server.commit(
            repository, {file: re.sub(r'GREETING = ".*"', f'GREETING = "{text}"', source)}
        )
        found.append(measure_push(server, repository, kind, host, text))
    return found


def report_deploys(server: Sandbox, times: int) -> None:
    measured = {kind: deploys(server, kind, times) for kind in EXAMPLES}
    names = list(dict.fromkeys(name for runs in measured.values() for run in runs for name in run))
    print(f"\n## Deploys when only code changed: medians of {times}, in seconds")
    table(
        ["", *measured],
        (
            [
                name,
                *(
                    seconds(median(run.get(name, 0.0) for run in runs))
                    for runs in measured.values()
                ),
            ]
            for name in names
        ),
    )
    for kind, runs in measured.items():
        print(
            f"\n{kind}, push to live of each: {', '.join(seconds(run['push to live']) for run in runs)}"
        )


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
        (
            [name, seconds(median(timed(work) for _ in range(times)))]
            for name, work in parts.items()
        ),
    )


def _clone(server: Sandbox) -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                "git",
                "clone",
                "--quiet",
                "--shared",
                str(server.root / "repos" / "web"),
                f"{folder}/x",
            ],
            check=True,
        )


# --- memory --------------------------------------------------------------------------------------

_WSGI = """\
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"""
_WEB = (CHECKOUT / "examples" / "web" / "server.py").read_text()
_SLEEP = "exec sleep 100000"
_GEVENT = Path("/usr/lib/uwsgi/plugins/gevent_python3_plugin.so")
# Each kind with its Procfile and settings; of all but the first two only what is ours is counted.
_KINDS = {
    "wsgi": ("wsgi: app:app\n", ""),
    "gevent": ("wsgi: app:app\n", "UWSGI_GEVENT=100\n"),
    "web": ("web: exec python3 -IS server.py\n", ""),
    "worker": (f"worker: {_SLEEP}\n", ""),
    "cron": ("cron-job: @yearly true\n", ""),
    "idle-wsgi": ("wsgi: app:app\n", "UWSGI_IDLE=1\n"),
    "idle-web": ("web: exec python3 -IS server.py\n", "UWSGI_IDLE=1\n"),
}


def memory_of(server: Sandbox, found: Iterable[processes.Process]) -> float:
    """The proportional set size of these processes together, in MB."""
    shares = inventory.shares(server)
    return sum(shares.get(process.pid, 0) for process in found) / 2**20


def vassal(server: Sandbox, name: str, *without: str) -> set[processes.Process]:
    """uWSGI of that name with what it runs, but not the programs whose command line has these words."""
    masters = [process.pid for process in server.processes() if f"--ini {name}" in str(process)]
    tree = processes.tree(*masters)
    return {process for process in tree if not any(word in str(process) for word in without)}


def platform_parts(server: Sandbox) -> dict[str, float]:
    """nginx, the emperor and what watches over both."""
    parts: dict[str, set[processes.Process]] = {
        "nginx": set(),
        "emperor": set(),
        "supervisor": set(),
    }
    for process in processes.tree(server.platform_pid()):
        command = str(process).partition(" ")[2]
        if command.startswith("nginx: "):
            parts["nginx"].add(process)
        elif "templates/up.sh" in command:
            parts["supervisor"].add(process)
        elif "uwsgi/uwsgi.ini" in command:
            parts["emperor"].add(process)
    return {name: memory_of(server, found) for name, found in parts.items()}


def push(server: Sandbox, kind: str, name: str) -> None:
    procfile, settings = _KINDS[kind]
    host = "" if kind in ("worker", "cron") else f"NGINX_SERVER_NAME={name}.localhost\n"
    files = {"Procfile": procfile, "ENV": host + settings, "app.py": _WSGI, "server.py": _WEB}
    if kind == "gevent":
        files["requirements.txt"] = "gevent\n"
    result = server.push(server.repository(name, files), name)
    if result.returncode != 0:
        raise SystemExit(result.stdout)
    if host:
        server.get(f"{name}.localhost")


def old_workers_gone(server: Sandbox) -> bool:
    return not any("shutting down" in str(process) for process in server.processes())


def sleeps(server: Sandbox, name: str) -> bool:
    server.piku("upkeep", "--doze")
    return not vassal(server, f"{name}@")


def report_memory(server: Sandbox) -> None:
    """What each kind of process costs: proportional set size, as the kernel accounts it."""
    rows: list[tuple[str, float]] = []
    alone = platform_parts(server)
    rows += [(f"{name}, without apps", size) for name, size in alone.items()]
    for kind in _KINDS:
        if kind == "gevent" and not _GEVENT.exists():
            print(f"\n(gevent is left out: there is no {_GEVENT})")
            continue
        push(server, kind, f"a-{kind}")
    first = memory_of(server, vassal(server, "a-wsgi@"))
    push(server, "wsgi", "b-wsgi")
    rows.append(
        (
            "`wsgi`: uWSGI's master and one process with Python",
            memory_of(server, vassal(server, "b-wsgi@")),
        )
    )
    rows.append(("… the first such app beside others", first))
    if _GEVENT.exists():
        rows.append(
            ("`wsgi` with `UWSGI_GEVENT=100`", memory_of(server, vassal(server, "a-gevent@")))
        )
    rows.append(
        (
            "`web`: uWSGI and the shell around the program",
            memory_of(server, vassal(server, "a-web@", "server.py")),
        )
    )
    rows.append(("worker: the same", memory_of(server, vassal(server, "a-worker@", " 100000"))))
    rows.append(
        ("scheduled jobs of an app, while none runs", memory_of(server, vassal(server, "a-cron@")))
    )
    rows.append(("`@upkeep`, once per server", memory_of(server, vassal(server, "@upkeep"))))
    rows.append(
        (
            "`@doze`, once per server with idle `web` apps",
            memory_of(server, vassal(server, "@doze")),
        )
    )
    server.wait(lambda: sleeps(server, "a-idle-web"), timeout=30)
    server.get("a-idle-web.localhost")
    rows.append(
        ("`@waker`, for 30 s after it woke an app", memory_of(server, vassal(server, "@waker")))
    )
    server.wait(lambda: not vassal(server, "@waker"), timeout=60)
    rows.append(("`@waker`, asleep", memory_of(server, vassal(server, "@waker"))))
    rows += sleeping_apps(server, 50)
    print("\n## Memory: PSS in MB")
    table(["", "MB"], ([name, f"{size:.2f}"] for name, size in rows))


def sleeping_apps(server: Sandbox, count: int) -> list[tuple[str, float]]:
    """What nginx and the emperor take for each of so many apps that sleep."""
    server.wait(lambda: sleeps(server, "a-idle-wsgi") and sleeps(server, "a-idle-web"), timeout=30)
    server.wait(lambda: old_workers_gone(server), timeout=30)
    before = platform_parts(server)
    for number in range(count):
        push(server, "idle-wsgi", f"nap-{number}")
    server.wait(
        lambda: all(sleeps(server, f"nap-{number}") for number in (0, count - 1)), timeout=60
    )
    server.wait(lambda: not vassal(server, "nap-") and old_workers_gone(server), timeout=60)
    after = platform_parts(server)
    each = {name: (after[name] - before[name]) / count for name in before}
    return [
        (f"an app that sleeps (each of {count})", sum(each.values())),
        ("… of it nginx", each["nginx"]),
        ("… of it the emperor", each["emperor"]),
    ]


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
            run = lambda argv=command: subprocess.run(
                argv, check=True, env=environment, capture_output=True
            )
            took[name].append(timed(run))
    medians = {name: median(values) for name, values in took.items()}
    print(f"\n## Start-up, interleaved: medians of {times}")
    base = medians['`python3 -c "import click"`']
    table(
        ["", "ms", "ratio"], ([n, f"{m * 1000:.0f}", f"{m / base:.2f}"] for n, m in medians.items())
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=5, help="pushes of each kind (default: 5)")
    parser.add_argument("--memory", action="store_true", help="measure memory alone")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} at the start")
    base = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        if not arguments.memory:
            with Sandbox(CHECKOUT, base / "times") as server:
                report_start_up(server, 25)
                report_deploys(server, arguments.times)
                report_overhead(server, 5)
        with Sandbox(CHECKOUT, base / "memory") as server:
            report_memory(server)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
