"""download and upload, by scp."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.laptop import ALIAS, Laptop
from tests.e2e.support import App, refused


@pytest.fixture(scope="module")
def files(new_app: Callable[..., App], laptop: Laptop) -> tuple[App, Path]:
    return new_app("attic"), laptop.checkout("attic", f"{ALIAS}:attic")


def test_files_come_and_go(laptop: Laptop, files: tuple[App, Path], tmp_path: Path) -> None:
    app, folder = files
    (folder / "photo.bin").write_bytes(bytes(range(256)) * 400)
    (folder / "tree" / "deep").mkdir(parents=True)
    (folder / "tree" / "deep" / "a b.txt").write_text("inside")
    laptop.says(folder, "upload", "photo.bin", "tree")
    assert (app.data / "photo.bin").read_bytes() == (folder / "photo.bin").read_bytes()
    assert (app.data / "tree" / "deep" / "a b.txt").read_text() == "inside"
    laptop.says(folder, "upload", "photo.bin", "--to", "tree/copy.bin")
    assert (app.data / "tree" / "copy.bin").exists()
    laptop.says(folder, "download", "tree", str(tmp_path))
    assert (tmp_path / "tree" / "deep" / "a b.txt").read_text() == "inside"
    laptop.says(folder, "download", "photo.bin", str(tmp_path / "again.bin"))
    assert (tmp_path / "again.bin").read_bytes() == (folder / "photo.bin").read_bytes()
    laptop.says(folder, "download", ".", str(tmp_path / "all"))
    assert (tmp_path / "all" / "photo.bin").exists()
    # Beside the app's data, with a "/" before it.
    laptop.says(folder, "download", "/logs/attic/build.log", str(tmp_path))
    assert "attic" in (tmp_path / "build.log").read_text()
    # With the name of the server in an address that has a port, and another app.
    server = laptop.server
    remote = f"ssh://{server.user}@127.0.0.1:{server.ssh_port}/other"
    laptop.says(
        folder, "-r", remote, "-a", "attic", "download", "photo.bin", str(tmp_path / "third.bin")
    )
    assert (tmp_path / "third.bin").exists()


def test_names_that_scp_would_take_for_something_else(
    laptop: Laptop, files: tuple[App, Path]
) -> None:
    app, folder = files
    for name in ("a:b", "-oops", "with space"):
        (folder / name).write_text(name)
        laptop.says(folder, "upload", "--", name)
        assert (app.data / name).read_text() == name


def test_spaces_in_a_path_on_the_server(
    laptop: Laptop, files: tuple[App, Path], tmp_path: Path
) -> None:
    app, folder = files
    for name in ("my file.txt", "it's (1).txt", "a $c.txt"):
        (app.data / name).write_text(name)
        laptop.says(folder, "download", name, str(tmp_path / "got"))
        assert (tmp_path / "got").read_text() == name
        (folder / "new").write_text(f"new {name}")
        laptop.says(folder, "upload", "new", "--to", name)
        assert (app.data / name).read_text() == f"new {name}"
    laptop.says(folder, "download", "my*.txt", str(tmp_path))
    assert (tmp_path / "my file.txt").exists()


def test_what_cannot_be_copied(laptop: Laptop, files: tuple[App, Path], tmp_path: Path) -> None:
    _, folder = files
    refused(laptop.piku(folder, "upload", "nothing"), 1, "no file nothing")
    missing = laptop.piku(folder, "download", "nothing", str(tmp_path))
    assert missing.returncode == 1 and "nothing" in missing.stderr
    outside = laptop.piku(folder, "download", "../../../private", str(tmp_path))
    assert outside.returncode == 1 and not list(tmp_path.iterdir())
