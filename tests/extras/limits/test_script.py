"""The script that processes join their group with, in folders that are no cgroups."""

from __future__ import annotations

import os
import subprocess
from importlib import resources
from pathlib import Path

import pytest

BODY = (resources.files("piku") / "templates" / "limits.sh").read_text()
MB = 2**20


@pytest.fixture
def script(tmp_path: Path) -> Path:
    values = {
        "groups": tmp_path / "cgroup", "group": "app-shop@7", "folder": tmp_path,
        "memory": 64 * MB, "memory_said": "64M", "cpu": 50000, "cpu_said": "50%", "pids": 20,
    }  # fmt: skip
    lines = "".join(f"{name}='{value}'\n" for name, value in values.items())
    path = tmp_path / "limits.sh"
    path.write_text(lines + BODY)
    return path


def call(script: Path, action: str, pid: str, *program: str) -> str:
    """Run it; what is in the log then."""
    log = script.parent / "web.1.log"
    argv = ["/bin/sh", str(script), action, pid, "web.1", str(log), *program]
    subprocess.run(argv, check=True)
    return log.read_text() if log.exists() else ""


def test_a_program_joins_and_is_reported_when_it_was_killed(script: Path) -> None:
    top = script.parent / "cgroup"
    app, own = top / "app-shop@7", top / "app-shop@7" / "web.1"
    top.mkdir()
    (top / "app-shop@7").mkdir()
    (app / "memory.events").write_text("oom 0\n")
    done = script.parent / "done"
    assert call(script, "run", "-", "sh", "-c", f"echo $$ >{done}") == ""
    assert (own / "cgroup.procs").read_text() == done.read_text()
    assert (app / "memory.max").read_text() == f"{64 * MB}\n" == (own / "memory.max").read_text()
    assert (app / "cpu.max").read_text() == "50000 100000\n"
    assert (app / "pids.max").read_text() == "20\n"
    assert (own / "memory.oom.group").read_text() == "1\n"

    (own / "memory.events").write_text("oom 1\noom_kill 2\n")
    (app / "memory.events").write_text("oom 1\n")
    killed = "[piku] killed: the app used more than PIKU_MEMORY_LIMIT=64M; started again\n"
    assert call(script, "report", "-") == killed
    assert call(script, "report", "-") == killed  # once for each
    (own / "memory.events").write_text("oom 1\noom_kill 3\n")
    (app / "memory.events").write_text("oom 0\n")
    server = "[piku] killed: the server had no memory left; started again\n"
    assert call(script, "join", "4711") == killed + server
    assert (own / "cgroup.procs").read_text() == "4711\n"


def test_a_program_keeps_its_path(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{script.parent}/bin:{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    done = script.parent / "done"
    call(script, "run", "-", "sh", "-c", f"echo $PATH >{done}")
    assert done.read_text() == f"{path}\n"


def test_without_a_cgroup_memory_is_limited_and_the_rest_is_named(script: Path) -> None:
    limit = script.parent / "limit"
    said = call(script, "run", "-", "sh", "-c", f"prlimit --data --raw --noheadings >{limit}")
    assert limit.read_text().split().count(str(64 * MB)) == 2
    assert [line.partition(" is ")[0] for line in said.splitlines()] == [
        "[piku] PIKU_CPU_LIMIT=50%",
        "[piku] PIKU_NPROC_LIMIT=20",
    ]
    assert not (script.parent / "cgroup").exists()
