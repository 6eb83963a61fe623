"""Where commands come from: the core's table, and the extras that are installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SHOWS = """
import sys
from piku.cli.main import execute
execute({words!r})
print(sorted(name for name in sys.modules if name.startswith("piku.extras")), file=sys.stderr)
"""


def _piku(words: list[str], extras: str, root: str) -> tuple[str, str]:
    """What a command prints, and which modules of extras it has loaded."""
    ran = subprocess.run(
        [sys.executable, "-B", "-c", SHOWS.format(words=words)],
        env={**os.environ, "PIKU_ROOT": root, "PIKU_EXTRAS": extras, "PYTHONPATH": "src"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ran.stdout, ran.stderr


def test_without_extras_there_are_the_commands_of_the_core(tmp_path: Path) -> None:
    shown, _ = _piku(["help"], "none", str(tmp_path))
    assert "\n  deploy " in shown and "\n  doctor " not in shown
    shown, _ = _piku(["deploy", "--help"], "none", str(tmp_path))
    assert "--dry-run" not in shown


def test_an_extra_adds_commands_and_flags(tmp_path: Path) -> None:
    shown, _ = _piku(["help"], "doctor", str(tmp_path))
    assert "\n  doctor " in shown and "\n  status " not in shown
    shown, _ = _piku(["deploy", "--help"], "dry_run", str(tmp_path))
    assert "--dry-run" in shown


def test_a_command_of_the_core_loads_no_extra(tmp_path: Path) -> None:
    assert _piku(["apps", "--plain"], "", str(tmp_path))[1].endswith("\n[]\n")
