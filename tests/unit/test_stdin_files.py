"""Which words of a command are files whose text goes to it on standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from piku import stdin_files
from piku.errors import PikuError

REPLACES = """
import json, sys
from piku import stdin_files
print(json.dumps([stdin_files.replaced(sys.argv[2:], sys.argv[1]), sys.stdin.read()]))
"""


def _replaced(folder: Path, app: str, *words: str) -> list[object]:
    """The words afterwards, and standard input."""
    ran = subprocess.run(
        [sys.executable, "-B", "-c", REPLACES, app, *words], cwd=folder, input="typed",
        env={**os.environ, "PYTHONPATH": str(Path("src").absolute())},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found: list[object] = json.loads(ran.stdout)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("shop.pem", "me.pub", "shop"):
        (tmp_path / name).write_text(f"text of {name}")
    return tmp_path


def test_a_file_of_certs_add_with_and_without_the_app(folder: Path) -> None:
    words, text = ["certs:add", "shop", "shop.pem"], "text of shop.pem"
    # A file that is named like the app is not read.
    for app in ("shop", ""):
        assert _replaced(folder, app, *words) == [["certs:add", "shop", "-"], text]
    assert _replaced(folder, "shop", "certs:add", "shop.pem") == [["certs:add", "-"], text]


def test_other_words_are_not_read(folder: Path) -> None:
    key = ["setup:ssh", "me.pub", "--name", "shop"]
    assert _replaced(folder, "", *key) == [["setup:ssh", "-", "--name", "shop"], "text of me.pub"]
    # A private key has the name of its public one, without the end, and often that of the person.
    key = ["keys:add", "shop", "me.pub", "--role", "read", "--app", "shop.pem"]
    assert _replaced(folder, "", *key) == [[*key[:2], "-", *key[3:]], "text of me.pub"]
    table = ["keys:add", "--csv", "me.pub", "--expires", "9d"]
    assert _replaced(folder, "", *table) == [[*table[:2], "-", *table[3:]], "text of me.pub"]
    archive = ["deploy", "shop", "--archive", "shop.pem"]
    assert _replaced(folder, "", *archive) == [[*archive[:3], "-"], "text of shop.pem"]
    for words in (
        ["run", "shop", "me.pub"],
        ["deploy", "--from", "me.pub"],
        ["setup:ssh", "-"],
        ["certs:add", "shop", "-"],
    ):
        assert _replaced(folder, "shop", *words) == [words, "typed"]


def test_a_private_key_stays_here(tmp_path: Path) -> None:
    (tmp_path / "id").write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    for command in (["setup:ssh"], ["keys:add", "ann"]):
        with pytest.raises(PikuError, match="is a private key"):
            stdin_files.replaced([*command, str(tmp_path / "id")], "")
