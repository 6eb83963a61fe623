"""The build folder that follows the checkouts: run as builds run it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from piku.app.tree import Tree
from piku.runtimes import stable
from piku.runtimes.base import Context, Run

OLD = 1_600_000_000


@pytest.fixture
def context(tmp_path: Path) -> Context:
    tree = Tree(files={}, read=lambda _path: "")
    found = Context(
        tree=tree,
        settings={},
        checkout=tmp_path / "v1",
        environment=tmp_path / "env",
        cache=tmp_path / "cache",
    )
    found.checkout.mkdir()
    return found


def run(step: Run) -> None:
    subprocess.run(step.argv, check=True, env={}, cwd="/")


def write(folder: Path, name: str, text: str, mode: int = 0o644) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def age(folder: Path) -> None:
    """Make every file old, so that one that is written again is seen."""
    for path in folder.rglob("*"):
        os.utime(path, (OLD, OLD), follow_symlinks=False)


def fresh(folder: Path) -> set[str]:
    """The files that were written since."""
    files = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return {str(path.relative_to(folder)) for path in files if path.lstat().st_mtime != OLD}


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): f"-> {path.readlink()}"
        if path.is_symlink()
        else path.read_text()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_only_what_differs_is_written(context: Context) -> None:
    one, place = context.checkout, stable.folder(context, "cargo")
    write(one, "main.rs", "main")
    write(one, "a/deep/file", "deep")
    write(one, "a/gone", "gone")
    write(one, "tool", "#!", 0o755)
    write(one, ".git/HEAD", "not source")
    write(one, "module/.git", "not source")
    (one / "link").symlink_to("main.rs")
    (one / "folder").symlink_to("a")
    run(stable.sync(context, "cargo"))
    expected = {
        "main.rs": "main",
        "a/deep/file": "deep",
        "a/gone": "gone",
        "tool": "#!",
        "link": "-> main.rs",
        "folder": "-> a",
    }
    assert content(place) == expected
    assert (place / "tool").stat().st_mode & 0o777 == 0o755

    # What the build makes stays; each checkout has new times, which mean nothing.
    write(place, "a/made-by-the-build", "made")
    age(place)
    run(stable.sync(context, "cargo"))
    assert fresh(place) == set()
    (one / "a/gone").unlink()
    write(one, "main.rs", "MAIN")  # as long as before
    write(one, "tool", "#!", 0o644)
    (one / "link").unlink()
    (one / "link").symlink_to("a/deep")
    run(stable.sync(context, "cargo"))
    assert fresh(place) == {"main.rs", "tool", "link"}
    assert content(place) == {
        "main.rs": "MAIN", "a/deep/file": "deep", "a/made-by-the-build": "made", "tool": "#!",
        "link": "-> a/deep", "folder": "-> a",
    }  # fmt: skip


def test_files_folders_and_links_take_each_others_place(context: Context) -> None:
    one, place = context.checkout, stable.folder(context, "x")
    outside = write(one.parent, "outside/file", "outside")
    write(one, "a", "file")
    write(one, "b/file", "b")
    (one / "c").symlink_to(outside.parent)
    run(stable.sync(context, "x"))
    for name in ("a", "c"):
        (one / name).unlink()
    (one / "b/file").unlink()
    (one / "b").rmdir()
    write(one, "a/file", "a")
    write(one, "b", "file")
    write(one, "c/file", "c")
    run(stable.sync(context, "x"))
    assert content(place) == {"a/file": "a", "b": "file", "c/file": "c"}
    assert outside.read_text() == "outside"


def test_an_interrupted_sync_is_made_good_by_the_next(context: Context) -> None:
    one, place = context.checkout, stable.folder(context, "x")
    write(one, "kept", "kept")
    run(stable.sync(context, "x"))
    # The one after it brought a file, a part of another, and was killed: its list is on disk before that.
    notes = place.with_name("src.files")
    notes.write_text("\0".join(["kept", "brought", "half"]))
    write(place, "brought", "brought")
    write(place, "half", "ha")
    write(one, "half", "half")
    run(stable.sync(context, "x"))
    assert content(place) == {"kept": "kept", "half": "half"}
    assert notes.read_text().split("\0") == ["half", "kept"]


def test_what_was_made_is_copied_and_never_linked(context: Context) -> None:
    made, release = context.cache / "target", context.checkout / "target"
    program = write(made, "debug/hello", "program", 0o755)
    write(made, "debug/.lock", "not this")
    write(made, "debug/deps/hello-1", "nor this")
    write(made, "x86_64/debug/cross", "cross")
    inner = made / "debug/deps/hello-2"
    os.link(program, inner)  # as cargo does
    run(stable.take(made, release, "debug/[!.]*", "*/debug/[!.]*"))
    assert content(release) == {"debug/hello": "program", "x86_64/debug/cross": "cross"}
    assert (release / "debug/hello").stat().st_mode & 0o777 == 0o755
    with inner.open("r+") as file:
        file.write("PROGRAM")
    assert (release / "debug/hello").read_text() == "program"
    assert not program.exists()
    run(stable.take(made, release, "debug/[!.]*"))  # nothing new, nothing lost
    assert (release / "debug/hello").read_text() == "program"
