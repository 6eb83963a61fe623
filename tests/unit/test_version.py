"""The version is said in two places."""

import re
from pathlib import Path

import piku

CHANGELOG = Path(__file__).resolve().parents[2] / "debian/changelog"


def test_the_package_has_the_version_of_the_source() -> None:
    newest = re.match(r"piku \(([^)]+)\)", CHANGELOG.read_text())
    assert newest and newest[1] == piku.__version__
