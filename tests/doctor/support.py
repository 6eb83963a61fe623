"""What the tests of `piku doctor` share: running it, in a namespace where the machine is another one if need
be, and reading what it found."""

import json
import shlex
import subprocess
from collections.abc import Mapping
from typing import Any

from sandbox import Completed, Sandbox

from tests.e2e.support import CHECKOUT

PIKU = str(CHECKOUT / "bin" / "piku")
Finding = dict[str, Any]


def report(result: Completed) -> list[Finding]:
    """What `doctor --json` found, once its sums and exit code fit that."""
    assert result.returncode in (0, 1), result.stdout + result.stderr
    assert result.stderr == ""
    said = json.loads(result.stdout)
    findings: list[Finding] = said["findings"]
    for severity in ("problem", "warning"):
        assert said[f"{severity}s"] == sum(1 for one in findings if one["severity"] == severity)
    assert result.returncode == (1 if said["problems"] else 0)
    for finding in findings:
        assert "\n" not in finding["what"] + finding["fix"], finding
        assert bool(finding["fix"]) == (finding["severity"] != "ok"), finding
        assert "could not be checked" not in finding["what"], finding
    return findings


def examined(server: Sandbox, *words: str, env: Mapping[str, str] | None = None) -> list[Finding]:
    return report(server.piku("doctor", "--json", *words, env=env))


def with_text(findings: list[Finding], text: str) -> list[Finding]:
    """Those that are no good and say this; without a text all, but for what this very machine is short of."""
    if not text:
        findings = [
            one for one in findings if one["check"] not in ("disk", "memory", "load", "clock")
        ]
    return [one for one in findings if text in one["what"] and one["severity"] != "ok"]


def sees(
    server: Sandbox, text: str, *words: str, severity: str = "problem", fix: str = ""
) -> Finding:
    """See that the doctor finds this once, with this severity and such a fix."""
    return the_one(examined(server, *words), text, severity=severity, fix=fix)


def the_one(
    findings: list[Finding], text: str, *, severity: str = "problem", fix: str = ""
) -> Finding:
    found = with_text(findings, text)
    assert len(found) == 1, (text, findings)
    assert found[0]["severity"] == severity, found
    assert fix in found[0]["fix"], found
    return found[0]


def sees_no_more(server: Sandbox, text: str, *words: str) -> None:
    assert with_text(examined(server, *words), text) == []


def mended(server: Sandbox, finding: Finding) -> None:
    """Do what the doctor says, as a shell would."""
    command = finding["fix"]
    prefix = f'piku() {{ {shlex.quote(PIKU)} "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-c", prefix + command], env=server.server_env(), capture_output=True, text=True, check=False,
        cwd=server.home, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, (command, done.stdout, done.stderr)


def elsewhere(server: Sandbox, script: str) -> str:
    """Run a shell script in namespaces of its own, where it may mount what it likes, as a root of no power
    outside; what it printed. `piku` is this checkout's."""
    return _unshared(server, ["unshare", "-Urmf", "--kill-child", "bash", "-c", _PREFIX + script])


_PREFIX = f'set -e\npiku() {{ {shlex.quote(PIKU)} "$@"; }}\n'


def _unshared(server: Sandbox, command: list[str]) -> str:
    ran = subprocess.run(
        command, env=server.server_env(), capture_output=True, text=True, check=False,
        cwd=server.home, stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, (ran.returncode, ran.stdout, ran.stderr)
    return ran.stdout


def reports(said: str) -> list[list[Finding]]:
    """Every report among what a script printed."""
    decoder, found, at = json.JSONDecoder(), [], said.find("{\n")
    while at >= 0:
        value, end = decoder.raw_decode(said, at)
        found.append(value["findings"])
        at = said.find("{\n", end)
    return found


EXAMINE = "piku doctor --json || true\n"
