"""A package of this machine as a file again, beside what dpkg knows of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from piku.extras.update import repack


def said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_it_holds_what_is_installed(tmp_path: Path) -> None:
    made = repack.package("openssl", tmp_path / "before.deb", {})
    assert [path.name for path in tmp_path.iterdir()] == ["before.deb"]
    for field in ("Package", "Version", "Depends", "Description"):
        shown = said("dpkg-deb", "-f", str(made), field).strip()
        assert shown == said("dpkg-query", "-W", "-f", f"${{{field}}}", "openssl").strip()
    assert said("dpkg-deb", "-f", str(made), "Status", "Conffiles") == ""
    known = {
        line for line in said("dpkg-query", "-L", "openssl").splitlines() if Path(line).exists()
    }
    rows = [line.split() for line in said("dpkg-deb", "-c", str(made)).splitlines()]
    assert {"/" + row[5][2:].rstrip("/") for row in rows} == {line.rstrip(".") for line in known}
    assert {row[1] for row in rows} == {"root/root"}
    said("dpkg-deb", "-e", str(made), str(tmp_path / "control"))
    names = said("dpkg-query", "--control-list", "openssl").split()
    assert {path.name for path in (tmp_path / "control").iterdir()} == {
        "control",
        "conffiles",
        *names,
    }
    assert (tmp_path / "control/conffiles").read_text() == "/etc/ssl/openssl.cnf\n"


def test_configuration_comes_as_the_package_had_it(tmp_path: Path) -> None:
    (tmp_path / "pristine").write_text("as it came\n")
    made = repack.package(
        "openssl", tmp_path / "before.deb", {"/etc/ssl/openssl.cnf": tmp_path / "pristine"}
    )
    said("dpkg-deb", "-x", str(made), str(tmp_path / "unpacked"))
    assert (tmp_path / "unpacked/etc/ssl/openssl.cnf").read_text() == "as it came\n"
    ours, theirs = tmp_path / "unpacked/usr/bin/openssl", Path("/usr/bin/openssl")
    assert ours.read_bytes() == theirs.read_bytes()
    assert ours.stat().st_mode == theirs.stat().st_mode
