"""Paths that are kept in the data folder: what moves there, and what every release sees."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from piku import files
from piku.deploy import checkout
from piku.errors import PikuError
from piku.extras.persist import persist
from piku.paths import AppPaths
from tests.e2e.support import App, web
from tests.unit.conftest import commit, paths, shop

__all__ = ["commit", "paths", "shop"]
FILES = {"Procfile": "web: x\n", "app.py": "1\n", "data/seed.txt": "seed\n", ".gitignore": "*.db\n"}


@pytest.fixture
def release(shop: AppPaths, commit: Callable[..., str]) -> Callable[..., Path]:
    """A function that checks out a commit with paths linked, and returns its folder."""
    numbers = itertools.count(1)

    def make(files: dict[str, str], wanted: Sequence[str] = ()) -> Path:
        name = f"v{next(numbers)}"
        checkout.create(shop, name, commit(shop, {**FILES, **files}))
        persist.link_paths(shop, name, wanted)
        checkout.mark_built(shop, name)
        return shop.releases / name

    return make


@pytest.mark.parametrize(
    ("text", "found"),
    [("", ()), ("a, b/c ,a", ("a", "b/c")), ("data,database", ("data", "database"))],
)
def test_the_setting(text: str, found: tuple[str, ...]) -> None:
    assert persist.paths(text) == found


@pytest.mark.parametrize("text", ["/a", "../a", "a,a/b", "."])
def test_paths_that_cannot_be_kept(text: str) -> None:
    with pytest.raises(ValueError, match=r"outside|part of another|whole folder"):
        persist.paths(text)


def test_persisted_paths_live_in_the_data_folder(
    shop: AppPaths, release: Callable[..., Path]
) -> None:
    wanted = ("data", "store.db", "uploads")
    folder = release({}, wanted)
    assert (folder / "data").resolve() == shop.data / "data"
    assert (folder / "data" / "seed.txt").read_text() == "seed\n"
    assert (shop.data / "uploads").is_dir()
    assert not (shop.data / "store.db").exists()
    (folder / "store.db").write_text("rows")
    (folder / "uploads" / "x").write_text("x")
    assert checkout.untracked_files(shop, folder.name) == []

    second = release({"app.py": "2\n", "data/seed.txt": "newer seed\n"}, wanted)
    assert (second / "store.db").read_text() == "rows"
    assert (second / "uploads" / "x").read_text() == "x"
    assert (second / "data" / "seed.txt").read_text() == "seed\n", (
        "the app's own data is never replaced"
    )


def test_what_a_live_app_wrote_is_moved_once_and_stays_in_place(
    shop: AppPaths, release: Callable[..., Path]
) -> None:
    folder = release({})
    (folder / "deep" / "er").mkdir(parents=True)
    with (folder / "deep" / "er" / "file").open("w") as program:
        program.write("before ")
        persist.move_paths(shop, folder.name, ("deep/er", "none"))
        program.write("after")
    assert (shop.data / "deep" / "er" / "file").read_text() == "before after"
    assert (folder / "deep" / "er").is_symlink()
    persist.move_paths(shop, folder.name, ("deep/er", "none"))
    assert (folder / "deep" / "er" / "file").read_text() == "before after"


def test_between_two_versions_nobody_chooses(shop: AppPaths, release: Callable[..., Path]) -> None:
    folder = release({})
    (shop.data / "data").mkdir(parents=True)
    (shop.data / "data" / "mine").write_text("x")
    with pytest.raises(PikuError, match="data is both in the live release and in"):
        persist.move_paths(shop, folder.name, ("data",))
    assert (folder / "data" / "seed.txt").exists()
    assert (shop.data / "data" / "mine").exists()


def test_no_link_of_a_commit_leads_to_what_is_not_the_apps(
    shop: AppPaths, release: Callable[..., Path]
) -> None:
    """Neither moved, nor deleted, nor linked over: the data of another app, and git's own files."""
    other = shop.data.with_name("other")
    (other / "uploads").mkdir(parents=True)
    (other / "uploads" / "photo").write_text("precious")
    for target, inside in (
        ("../../../data/other", False),
        (other, False),
        (".git", False),
        ("data", True),
    ):
        for kept in (False, True):
            folder = release({})
            (folder / "shared").symlink_to(target)
            if kept:
                (shop.data / "shared" / "uploads").mkdir(parents=True, exist_ok=True)
            for act in (persist.link_paths, persist.move_paths):
                if inside:
                    act(shop, folder.name, ("shared/uploads",))
                    continue
                with pytest.raises(PikuError, match="PIKU_PERSIST: shared/uploads leads outside"):
                    act(shop, folder.name, ("shared/uploads",))
        assert [path.name for path in other.rglob("*")] == ["uploads", "photo"]
        assert not (other / "uploads").is_symlink()
    assert (folder / "data" / "uploads").resolve() == shop.data / "shared" / "uploads"


# --- through pushes ------------------------------------------------------------------------------


def test_no_link_of_the_data_leads_out_of_it(shop: AppPaths, release: Callable[..., Path]) -> None:
    """The app may have made one, for the next commit to put files there."""
    elsewhere = shop.root / "plugins"
    elsewhere.mkdir(parents=True, exist_ok=True)
    shop.data.mkdir(parents=True)
    (shop.data / "up").symlink_to(elsewhere)
    with pytest.raises(PikuError, match="is in the way of up/plug"):
        release({"up/plug/__init__.py": "1\n"}, ("up/plug",))
    assert [*elsewhere.iterdir()] == []


def test_files_live_on_in_the_data_folder(new_app: Callable[..., App]) -> None:
    app = new_app("writer")
    app.body("/write?file=uploads/photo.txt&text=precious")
    app.body("/write?file=notes.sqlite&text=rows")
    app.commit(version_txt="two")
    assert any("PIKU_PERSIST=" in line for line in app.failed())
    app.does("config:set", "PIKU_PERSIST=uploads,notes.sqlite")
    assert app.body("/read?file=uploads/photo.txt") == "precious"
    app.deployed()
    assert app.body() == "two"
    assert app.body("/read?file=uploads/photo.txt") == "precious"
    assert app.body("/read?file=notes.sqlite") == "rows"
    assert (app.data / "uploads" / "photo.txt").read_text() == "precious"
    app.body("/write?file=uploads/second.txt&text=more")
    app.commit(version_txt="three")
    app.deployed()
    assert app.body("/read?file=uploads/second.txt") == "more"
    app.does("rollback")
    assert app.body() == "two"
    assert app.body("/read?file=uploads/second.txt") == "more"


def test_persisted_paths_that_the_commit_has(new_app: Callable[..., App]) -> None:
    files = {
        **web("seeded", env="PIKU_PERSIST=state,log.txt\n"),
        "state/first.txt": "from the commit",
    }
    app = new_app("seeded", files)
    assert app.body("/read?file=state/first.txt") == "from the commit"
    app.body("/write?file=state/first.txt&text=changed")
    app.body("/write?file=log.txt&text=made+by+the+app")
    app.commit(version_txt="two")
    app.deployed()
    assert app.body() == "two"
    assert app.body("/read?file=state/first.txt") == "changed"
    assert (app.data / "log.txt").read_text() == "made by the app"
    app.commit(ENV="NGINX_SERVER_NAME=seeded.localhost\nPIKU_PERSIST=../other\n")
    assert any("PIKU_PERSIST" in line and "outside" in line for line in app.failed())


SWAPPING = """
import ctypes, sys
swap = ctypes.CDLL(None).renameat2
a, b = (name.encode() for name in sys.argv[1:])
while True:
    swap(-100, a, -100, b, 2)  # AT_FDCWD, RENAME_EXCHANGE
"""


def test_an_app_that_swaps_a_folder_for_a_link_all_the_time(shop: AppPaths) -> None:
    """Between piku's look and its move: nothing gets to where the link leads."""
    victim, inner, link = shop.root / "plugins", shop.data / "deep", shop.data / "link"
    victim.mkdir(exist_ok=True)
    inner.mkdir(parents=True)
    link.symlink_to(victim)
    place = shop.releases / "v1" / "deep" / "evil"
    command = [sys.executable, "-IS", "-c", SWAPPING, str(inner), str(link)]
    with subprocess.Popen(command) as app:
        try:
            for _ in range(500):
                files.remove(place)
                place.mkdir(parents=True)
                with contextlib.suppress(PikuError, OSError):
                    persist.link_paths(shop, "v1", ["deep/evil"])
                assert not list(victim.iterdir())
                for folder in (inner, link):
                    with contextlib.suppress(OSError):
                        folder.joinpath("evil").rmdir()
        finally:
            app.kill()
