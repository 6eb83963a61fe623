"""Measure commands, deploys, requests and memory on a server of its own: the tables of
docs/benchmarks.md.

hyperfine takes the times of commands, wrk asks for pages. `make bench` drops to a throwaway user
first.
"""

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import processes
from checkout import CHECKOUT
from laptop import HOST
from sandbox import Sandbox

EXAMPLES = {"wsgi": ("python-wsgi", "app.py"), "web": ("web", "server.py")}
STEP = re.compile(r"is live after ([\d.]+) s \((.*)\)")


def table(title: str, rows: Iterable[tuple[str, str]]) -> None:
    print(f"\n## {title}\n\n|  |  |\n| --- | ---: |")
    for name, figure in rows:
        print(f"| {name} | {figure} |", flush=True)


def pushed(server: Sandbox, repository: Path, app: str) -> str:
    result = server.push(repository, app)
    if result.returncode != 0:
        raise SystemExit(result.stdout)
    return result.stdout


def host_of(kind: str) -> str:
    settings = (CHECKOUT / "examples" / EXAMPLES[kind][0] / "ENV").read_text()
    [host] = re.findall(r"NGINX_SERVER_NAME=(\S+)", settings)
    return str(host)


# --- times ------------------------------------------------------------------------------------


def times(
    commands: Sequence[str], env: Mapping[str, str], runs: int, *, prepare: str = ""
) -> list[float]:
    """The median of each command, in seconds."""
    with tempfile.NamedTemporaryFile() as report:
        options = ["--runs", str(runs), "--export-json", report.name, "--style", "none"]
        before = ["--prepare", prepare] if prepare else ["--warmup", "1"]
        subprocess.run(
            ["hyperfine", *options, *before, *commands],
            check=True, env=dict(env), cwd=env["HOME"], stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return [result["median"] for result in json.load(report)["results"]]


def report_commands(server: Sandbox, runs: int) -> None:
    ssh = shlex.join(["ssh", *server.ssh_options(), server.address, "apps"])
    commands = {
        "`python3 -c 'import click'`": "/usr/bin/python3 -c 'import click'",
        "`piku apps`": f"{CHECKOUT}/bin/piku apps",
        "`ssh piku@server apps`": ssh,
    }
    medians = times(list(commands.values()), server.server_env(), runs)
    rows = zip(commands, (f"{median * 1000:.0f}" for median in medians), strict=True)
    table(f"Commands: medians of {runs}, in ms", rows)


def report_deploys(server: Sandbox, kind: str, runs: int) -> None:
    """A push when only code changed, by hyperfine; its steps as piku tells them."""
    repository = server.repository(kind, CHECKOUT / "examples" / EXAMPLES[kind][0])
    pushed(server, repository, kind)
    told = repository.parent / f"{kind}.log"
    change = f"date +%N >>{EXAMPLES[kind][1]}.txt; git add -A; git commit -qm Change"
    push = f"cd {repository}; git push {server.remote(kind)} main >>{told} 2>&1"
    env = server.git_env()
    [median] = times([push], env, runs, prepare=f"cd {repository}; {change}")
    steps: dict[str, list[float]] = {}
    for whole, parts in STEP.findall(told.read_text()):
        steps.setdefault("of it the deploy", []).append(float(whole))
        for name, _, took in (part.rpartition(" ") for part in parts.split(", ")):
            steps.setdefault(f"… {name}", []).append(float(took))
    rows = [(name, f"{statistics.median(values):.2f}") for name, values in steps.items()]
    title = f"A push of a {kind} app when only code changed: medians of {runs}, in s"
    table(title, [("git push", f"{median:.2f}"), *rows])


def report_requests(server: Sandbox, kind: str, seconds: int) -> None:
    url = f"http://{HOST}:{server.http_port}/"
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", "-H", f"Host: {host_of(kind)}"]
    said = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    wanted = r"(Requests/sec|50%|99%|Socket errors|Non-2xx or 3xx responses):?\s+(.+)"
    table(f"Requests to a {kind} app over 16 connections", re.findall(wanted, said))


# --- memory -----------------------------------------------------------------------------------


def megabytes(found: Iterable[processes.Process]) -> str:
    """The proportional set size of these processes together."""
    total = 0
    for process in found:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
        total += int(re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[0])
    return f"{total / 1024:.1f}"


def report_memory(server: Sandbox) -> None:
    """Of what runs while nothing is asked, by the words in its command line."""
    names = {
        "nginx": ("nginx: ",),
        "the emperor": ("uwsgi/uwsgi.ini",),
        "what watches over both": ("up.sh",),
        **{f"a default `{kind}` process": (f"--ini {kind}@",) for kind in EXAMPLES},
    }
    running = server.processes() | processes.tree(server.platform_pid())
    rows = []
    for name, words in names.items():
        roots = [each.pid for each in running if any(word in str(each) for word in words)]
        mine = processes.tree(*roots) if "@" in words[0] else {p for p in running if p.pid in roots}
        rows.append((name, megabytes(mine)))
    table("Memory: PSS in MB", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each measurement (default: 5)")
    runs = parser.parse_args().runs
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} at the start")
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as base,
        Sandbox(CHECKOUT, Path(base)) as server,
    ):
        report_commands(server, runs * 4)
        for kind in EXAMPLES:
            report_deploys(server, kind, runs)
        report_memory(server)
        for kind in EXAMPLES:
            report_requests(server, kind, runs)


if __name__ == "__main__":
    main()
