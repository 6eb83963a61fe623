"""Checkouts and what an app leaves beside its code, with real git repositories."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from piku.deploy import checkout
from piku.errors import PikuError
from piku.paths import AppPaths

Commit = Callable[..., str]
FILES = {
    "Procfile": "web: x\n",
    "app.py": "1\n",
    "data/seed.txt": "seed\n",
    ".gitignore": "*.db\nvar/\n",
}


@pytest.fixture
def release(shop: AppPaths, commit: Commit) -> Callable[..., Path]:
    """A function that checks out and builds a commit of these files, and returns its folder."""

    numbers = itertools.count(1)

    def make(files: dict[str, str | bytes], *, built: bool = True) -> Path:
        name = f"v{next(numbers)}"
        checkout.create(shop, name, commit(shop, {**FILES, **files}))
        if built:
            checkout.mark_built(shop, name)
        return shop.releases / name

    return make


def test_a_checkout_is_the_commit_and_appears_whole(
    shop: AppPaths, release: Callable[..., Path]
) -> None:
    one = release({"a b/ü.txt": "x"})
    two = release({"app.py": "2\n"})
    assert (one / "app.py").read_text() == "1\n"
    assert (two / "app.py").read_text() == "2\n"
    assert (one / "a b" / "ü.txt").read_text() == "x"
    assert not (two / "a b").exists()
    assert not [path for path in shop.releases.iterdir() if path.name.endswith(".tmp")]


# --- what is left beside -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["upload.txt", "a b.txt", "new/deep/file", "store.db", "var/cache.bin", "ü.txt", 'q".txt',
     "line\nbreak", "caf\udce9"],
)  # fmt: skip
def test_what_the_app_wrote_is_seen(
    shop: AppPaths, release: Callable[..., Path], path: str
) -> None:
    folder = release({})
    assert checkout.untracked_files(shop, folder.name) == []
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text("x")
    assert checkout.untracked_files(shop, folder.name) == [path]


def test_what_the_build_left_is_not_the_apps_until_it_changes(
    shop: AppPaths, release: Callable[..., Path]
) -> None:
    folder = release({}, built=False)
    (folder / "var").mkdir()
    (folder / "var" / "built.css").write_text("x")
    (folder / "app.py").write_text("patched")
    checkout.mark_built(shop, folder.name)
    assert checkout.untracked_files(shop, folder.name) == []
    (folder / "var" / "built.css").write_text("changed since")
    (folder / "data" / "seed.txt").write_text("changed since")
    assert sorted(checkout.untracked_files(shop, folder.name)) == [
        "data/seed.txt",
        "var/built.css",
    ]


@pytest.mark.parametrize(
    "path", ["__pycache__/x.py", "a/__pycache__/x", "x.pyc", ".pytest_cache/v", "node_modules/x/y",
    "run.pid", "x.sock"]
)  # fmt: skip
def test_caches_are_nobodys_loss(shop: AppPaths, release: Callable[..., Path], path: str) -> None:
    folder = release({})
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text("x")
    assert checkout.untracked_files(shop, folder.name) == []


def test_a_tracked_file_that_the_app_removed_is_no_loss(
    shop: AppPaths, release: Callable[..., Path]
) -> None:
    folder = release({})
    (folder / "app.py").unlink()
    assert checkout.untracked_files(shop, folder.name) == []


@pytest.mark.skipif(os.getuid() == 0, reason="root can read everything")
def test_a_folder_that_cannot_be_read_hides_nothing_else(
    shop: AppPaths, release: Callable[..., Path]
) -> None:
    folder = release({})
    (folder / "closed").mkdir()
    (folder / "closed" / "x").write_text("x")
    (folder / "a.txt").write_text("x")
    (folder / "closed").chmod(0)
    try:
        assert "a.txt" in checkout.untracked_files(shop, folder.name)
    finally:
        (folder / "closed").chmod(0o700)


def test_refusing_to_hide_names_the_files_and_the_ways_out(
    shop: AppPaths, release: Callable[..., Path]
) -> None:
    folder = release({})
    checkout.check_untracked(shop, folder.name)
    (folder / "uploads").mkdir()
    for number in range(12):
        (folder / "uploads" / f"{number:02}.txt").write_text("x")
    with pytest.raises(PikuError, match="shop wrote files beside its code") as error:
        checkout.check_untracked(shop, folder.name)
    assert len(error.value.detail) == 11
    assert error.value.detail[0] == "uploads/00.txt"
    assert error.value.detail[-1] == "… and 2 more"
    assert "piku config:set shop PIKU_PERSIST=uploads" in error.value.hint
    assert "piku deploy shop --allow-untracked" in error.value.hint
    shop.data.mkdir(parents=True)
    (folder / "uploads").rename(shop.data / "uploads")
    (folder / "uploads").symlink_to(shop.data / "uploads")
    checkout.check_untracked(shop, folder.name)


def test_nothing_is_said_of_a_checkout_that_was_never_built(shop: AppPaths) -> None:
    assert checkout.untracked_files(shop, "none") == []
