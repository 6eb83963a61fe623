"""How a Rust app is recognised, and what the distribution's cargo cannot do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from piku.app import procfile
from piku.app.tree import Tree
from piku.runtimes import rust
from piku.runtimes.base import Context

WEB = procfile.parse("web: x")
DEBIAN, NEWER = "cargo 1.65.0\n", "cargo 1.85.1 (abc 2025-02-28)\n"


def tree(files: Mapping[str, str]) -> Tree:
    return Tree(files=dict(files), read=lambda path: files.get(path, ""))


@pytest.mark.parametrize(
    ("files", "is_rust"),
    [
        (["Cargo.toml", "rust-toolchain.toml"], True),
        (["Cargo.toml"], False),
        (["rust-toolchain.toml"], False),
        (["Cargo.toml", "rust-toolchain"], False),
        (["sub/Cargo.toml", "rust-toolchain.toml"], False),
    ],
)
def test_detect(files: list[str], is_rust: bool) -> None:
    assert rust.RUST.detect(tree(dict.fromkeys(files, "")), WEB) is is_rust
    assert rust.RUST.key is None  # specification: no environment of its own


@pytest.mark.parametrize(
    ("lock", "cargo", "version"),
    [
        ("version = 4\n", DEBIAN, "4"),
        ("version = 4\n", NEWER, ""),
        ("version = 3\n", DEBIAN, ""),
        ("version = 3\n", "cargo 1.46.0", "3"),
        ('[[package]]\nversion = "4"\n', DEBIAN, ""),
        ("", DEBIAN, ""),
    ],
)
def test_a_lock_file_that_is_too_new(lock: str, cargo: str, version: str) -> None:
    assert rust.unreadable_lock(tree({"Cargo.lock": lock}), cargo) == version


@pytest.mark.parametrize(
    ("toolchain", "channel"),
    [
        ('[toolchain]\nchannel = "stable"\n', "stable"),
        ('[toolchain]\nchannel = "nightly-2024-01-01"\n', "nightly-2024-01-01"),
        ('[toolchain]\npath = "/opt/rust"\n', ""),
        ("toolchain = 1\n", ""),
        ("", ""),
    ],
)
def test_the_channel(toolchain: str, channel: str) -> None:
    assert rust.toolchain(tree({"rust-toolchain.toml": toolchain})) == channel


def test_rustups_cargo_comes_first_and_reads_the_files_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "Cargo.toml": "",
        "Cargo.lock": "version = 4\n",
        "rust-toolchain.toml": '[toolchain]\nchannel = "1.99"\n',
    }
    context = Context(
        tree=tree(files),
        settings={},
        checkout=tmp_path / "c",
        environment=tmp_path,
        cache=tmp_path / "cache",
    )
    cargo = tmp_path / ".cargo/bin/cargo"
    cargo.parent.mkdir(parents=True)
    cargo.write_text("#!/bin/sh\nexit 1\n")
    cargo.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    steps = list(rust.RUST.compile(context))
    assert [step.argv[0] for step in steps] == ["cargo", "mkdir", "find"]
    assert not any(step.say for step in steps)
