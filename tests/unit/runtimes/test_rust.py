"""How a Rust app is recognised."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from piku.app import procfile
from piku.app.tree import Tree
from piku.runtimes import rust

WEB = procfile.parse("web: x")


def tree(files: Mapping[str, str]) -> Tree:
    return Tree(files=dict(files), read=lambda path: files.get(path, ""))


@pytest.mark.parametrize(
    ("files", "is_rust"),
    [
        (["Cargo.toml", "rust-toolchain.toml"], True),
        (["Cargo.toml", "Procfile"], False),
        (["Cargo.toml"], True),  # where the server finds what runs by itself
        (["rust-toolchain.toml"], False),
        (["Cargo.toml", "rust-toolchain", "Procfile"], False),
        (["sub/Cargo.toml", "rust-toolchain.toml"], False),
    ],
)
def test_detect(files: list[str], is_rust: bool) -> None:
    assert rust.RUST.detect(tree(dict.fromkeys(files, "")), WEB) is is_rust
    assert rust.RUST.key is None  # specification: no environment of its own
