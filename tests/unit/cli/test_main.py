"""How a command ends: its exit code and what it prints, whatever happens."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PIKU = [sys.executable, "-B", "-m", "piku"]


def _ended(tmp_path: Path, line: str, **variables: str) -> tuple[int, str]:
    """The exit code of the first program of a pipe in which PIKU is this piku, and what goes to stderr."""
    env = {**os.environ, "PIKU_ROOT": str(tmp_path), "PYTHONPATH": "src", **variables}
    script = f'{line.replace("PIKU", " ".join(PIKU))}; exit "${{PIPESTATUS[0]}}"'
    ran = subprocess.run(
        ["bash", "-c", script], env=env, capture_output=True, text=True, check=False
    )
    return ran.returncode, ran.stderr


@pytest.mark.parametrize("command", ["apps", "help", "--version", "--help", "deploy --help"])
def test_a_reader_that_is_gone_is_no_failure(tmp_path: Path, command: str) -> None:
    (tmp_path / "repos" / "shop").mkdir(parents=True)
    assert _ended(tmp_path, f"PIKU {command} | true") == (0, "")
    over_ssh = {"SSH_ORIGINAL_COMMAND": command}
    assert _ended(tmp_path, "PIKU | true", **over_ssh) == (0, "")


def test_an_empty_list_says_what_to_do(tmp_path: Path) -> None:
    code, said = _ended(tmp_path, "PIKU apps")
    assert code == 0 and "git push piku main" in said


def test_a_bug_is_reported_and_kept(tmp_path: Path) -> None:
    (tmp_path / "uwsgi").mkdir()
    (tmp_path / "apps").touch()
    code, said = _ended(tmp_path, "PIKU setup")
    assert code == 3
    assert "piku itself failed here" in said and "Traceback" not in said
    assert "FileExistsError" in (tmp_path / "uwsgi" / "fault.log").read_text()


def _as_root(tmp_path: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What root of a namespace gets, to whom our own files are root's, and all others nobody's."""
    env = {**os.environ, "PIKU_ROOT": str(tmp_path), "PYTHONPATH": "src", **variables}
    command = ["unshare", "--map-root-user", *PIKU, *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.stderr.startswith("unshare: "):
        pytest.skip(done.stderr)
    return done


def test_root_becomes_the_owner_of_the_piku_root(tmp_path: Path) -> None:
    assert _as_root(tmp_path, "apps").returncode == 0
    # In a namespace there is nobody else to become.
    for variables in ({}, {"SSH_ORIGINAL_COMMAND": "apps"}):
        done = _as_root(Path("/usr"), *([] if variables else ["apps"]), **variables)
        assert done.returncode and "setpriv: setresuid failed" in done.stderr


def test_root_loads_no_plugin(tmp_path: Path) -> None:
    plugin = tmp_path / "plugins" / "own" / "__init__.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text("print('loaded')\n")
    completion = {"_PIKU_COMPLETE": "bash_complete", "COMP_WORDS": "piku a", "COMP_CWORD": "1"}
    for words, variables in ((["help"], {}), (["update", "--help"], {}), ([], completion)):
        done = _as_root(tmp_path, *words, **variables)
        assert done.returncode == 0 and "loaded" not in done.stdout, (words, done)
    assert "loaded" in _ended(tmp_path, "PIKU help >&2")[1]


def test_every_summary_fits(tmp_path: Path) -> None:
    ran = subprocess.run(
        [*PIKU, "help"], env={**os.environ, "PIKU_ROOT": str(tmp_path), "PYTHONPATH": "src"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    cut = [
        line for line in ran.stdout.splitlines() if line.startswith("  ") and line.endswith("...")
    ]
    assert cut == []
