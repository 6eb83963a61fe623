"""What the tests of the doctor share: running it, reading its findings, following its advice."""

import json
import shlex
import subprocess
from collections.abc import Mapping
from typing import Any

from sandbox import Sandbox

from tests.e2e.support import CHECKOUT

PIKU = str(CHECKOUT / "bin" / "piku")
Finding = dict[str, Any]
# What this very machine may be short of.
_MACHINE = ("disk", "memory", "clock")


def examined(server: Sandbox, *words: str, env: Mapping[str, str] | None = None) -> list[Finding]:
    """Every finding of `piku doctor`, once its totals and exit code match them."""
    result = server.piku("doctor", "--json", *words, env=env)
    assert (result.stderr, result.returncode in (0, 1)) == ("", True), result.stdout
    report = json.loads(result.stdout)
    findings: list[Finding] = report["findings"]
    for severity in ("problem", "warning"):
        assert report[f"{severity}s"] == sum(one["severity"] == severity for one in findings)
    assert result.returncode == (1 if report["problems"] else 0)
    for finding in findings:
        assert "\n" not in finding["what"] + finding["fix"], finding
        assert bool(finding["fix"]) == (finding["severity"] != "ok"), finding
    return findings


def faults(server: Sandbox, *words: str) -> list[Finding]:
    """The findings that are not ok, apart from those about this machine."""
    found = examined(server, *words)
    return [one for one in found if one["severity"] != "ok" and one["check"] not in _MACHINE]


def sees(
    server: Sandbox, text: str, *words: str, severity: str = "problem", fix: str = ""
) -> Finding:
    """The one finding with this text, severity and fix."""
    found = [one for one in faults(server, *words) if text in one["what"]]
    assert len(found) == 1, (text, examined(server, *words))
    assert (found[0]["severity"], fix in found[0]["fix"]) == (severity, True), found
    return found[0]


def sees_no_more(server: Sandbox, text: str, *words: str) -> None:
    assert [one for one in faults(server, *words) if text in one["what"]] == []


def follow(server: Sandbox, finding: Finding) -> None:
    """Do what a fix says, literally."""
    script = f'piku() {{ {shlex.quote(PIKU)} "$@"; }}\n{finding["fix"]}'
    done = subprocess.run(
        ["bash", "-c", script], env=server.server_env(), capture_output=True, text=True, check=False,
        cwd=server.home, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, (finding["fix"], done.stdout, done.stderr)
