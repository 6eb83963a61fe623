"""Which row of the table is taken, and what is said when its programs are missing."""

from __future__ import annotations

from collections.abc import Mapping
from os import getuid
from pathlib import Path
from pwd import getpwuid

import pytest

from piku import runtimes
from piku.app import procfile
from piku.app.tree import Tree
from piku.errors import PikuError

# Generic and Static would match each of these as well.
PROCFILE = procfile.parse("web: x\nrelease: x\nstatic: public\n")


def tree(files: Mapping[str, str]) -> Tree:
    return Tree(files=dict(files), read=lambda path: files.get(path, ""))


def test_the_order_is_the_specifications() -> None:
    assert [row.name for row in runtimes.RUNTIMES] == [
        "python", "poetry", "uv", "ruby", "node", "maven", "gradle", "go", "clojure", "lein", "php", "rust",
        "generic", "static", "plain",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "programs", "packages"),
    [
        ({"requirements.txt": ""}, "virtualenv", "virtualenv"),
        ({"pyproject.toml": "[tool.poetry]\n"}, "poetry", "python3-poetry"),
        (
            {"pyproject.toml": "[project]\n"},
            "uv",
            f"sudo -Hu {getpwuid(getuid()).pw_name} pipx install uv",
        ),
        ({"Gemfile": ""}, "bundle", "bundler"),
        ({"package.json": "{}"}, "node", "nodejs"),
        ({"pom.xml": ""}, "javac", "openjdk-17-jdk-headless"),
        ({"build.gradle": ""}, "javac", "openjdk-17-jdk-headless"),
        ({"go.mod": ""}, "go", "golang-go"),
        ({"main.go": ""}, "go", "golang-go"),
        ({"deps.edn": ""}, "java", "openjdk-17-jre-headless"),
        ({"project.clj": ""}, "lein", "leiningen"),
        ({"Cargo.toml": "", "rust-toolchain.toml": ""}, "cargo", "cargo"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, files: Mapping[str, str], programs: str, packages: str
) -> None:
    """The row that matched first is the one that is meant, whatever else the commit looks like."""
    with pytest.raises(PikuError) as caught:
        runtimes.select(tree(files), PROCFILE, str(tmp_path))
    assert "and this server lacks: " in caught.value.message
    assert programs in caught.value.message
    assert packages in caught.value.hint


def test_one_program_of_each_group_is_enough(tmp_path: Path) -> None:
    (tmp_path / "go").write_text("#!/bin/sh\n")
    (tmp_path / "go").chmod(0o755)
    assert runtimes.select(tree({"go.mod": ""}), PROCFILE, str(tmp_path)).name == "go"


def test_a_procfile_alone() -> None:
    found = {
        text: runtimes.select(tree({}), procfile.parse(text)).name
        for text in (
            "web: x\nrelease: x",
            "static: public",
            "web: x",
            "worker: x",
            "release: x\nworker: x",
        )
    }
    assert found == {
        "web: x\nrelease: x": "generic", "static: public": "static", "web: x": "plain", "worker: x": "plain",
        "release: x\nworker: x": "plain",
    }  # fmt: skip
