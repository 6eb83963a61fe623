"""`piku doctor` where systemd runs piku, nginx has ports that nobody else may bind, and root leaves
traces."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.install.box import Box

pytestmark = pytest.mark.timeout(240)
APT = "DEBIAN_FRONTEND=noninteractive apt-get -q --yes --no-install-recommends"


def found(box: Box) -> list[dict[str, Any]]:
    """What is no good, leaving out what is so on every such machine."""
    said = box.run("piku", "doctor", "--json", check=False)
    findings: list[dict[str, Any]] = json.loads(said.stdout)["findings"]
    accepted = (
        "no key may push",
        "the clock is not synchronized",
        "memory",
        "disk",
    )
    return [
        one
        for one in findings
        if one["severity"] != "ok" and not any(text in one["what"] for text in accepted)
    ]


def mended(box: Box, text: str, fix: str) -> None:
    """See that this is found, do what is said about it, and see that all is well again."""
    one = next((one for one in found(box) if text in one["what"]), None)
    assert one is not None, found(box)
    assert one["fix"] == fix
    box.sh(fix.replace("sudo ", ""))
    assert found(box) == []


def test_a_fresh_installation_is_well(box: Box, packages: tuple[Path, Path]) -> None:
    box.put(packages[0], packages[0].name)
    box.sh(f"{APT} install ./{packages[0].name}")
    assert found(box) == []
    shown = box.run("piku", "doctor", "-v").stdout
    for text in ("nginx listens on port 80", "nginx listens on port 443"):
        assert f"ok       {text}\n" in shown, shown
    assert "all is well" in box.run("piku", "doctor", "--self").stdout
    status = box.run("piku", "status").stdout
    assert " runs for " in status.splitlines()[0], status


def test_units_that_are_stopped_or_would_not_start(box: Box) -> None:
    box.run("systemctl", "stop", "piku-nginx")
    assert any("nginx does not run: no app can be reached" in one["what"] for one in found(box))
    mended(box, "piku-nginx is inactive", "sudo systemctl start piku-nginx")
    box.run("systemctl", "stop", "piku-nginx", "piku-emperor")
    mended(box, "piku does not run here", "sudo systemctl restart piku-nginx piku-emperor")
    box.run("systemctl", "disable", "piku-emperor")
    mended(box, "piku-emperor will not start after a reboot", "sudo systemctl enable piku-emperor")


def test_another_web_server_on_the_port(box: Box) -> None:
    box.run("systemctl", "stop", "piku-nginx")
    box.run("systemctl", "start", "nginx")
    (taken,) = [one for one in found(box) if "port 80" in one["what"]]
    assert taken["what"] == "nginx has not got port 80: nginx holds it"
    assert taken["fix"] == "sudo systemctl disable --now nginx"
    box.run("systemctl", "disable", "--now", "nginx")
    mended(box, "piku-nginx is inactive", "sudo systemctl start piku-nginx")


def test_what_root_leaves_behind(box: Box) -> None:
    root = "/var/lib/piku/.piku"
    box.sh(f"mkdir {root}/logs/x && touch {root}/logs/x/web.1.log")
    mended(
        box,
        f"{root}/logs/x and 1 more below the piku root belong to another user",
        f"sudo chown -R piku: {root}",
    )
