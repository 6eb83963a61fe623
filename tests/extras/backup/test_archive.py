"""The file of a backup: what comes back, and what is refused before anything is restored."""

import contextlib
import io
import json
import os
import sqlite3
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from piku.errors import PikuError
from piku.extras.backup import archive, contents
from piku.extras.backup.archive import Writer
from piku.extras.restore import unpack
from piku.extras.restore.unpack import Head
from piku.paths import AppName, AppPaths

ABOUT = {
    "app": "shop",
    "piku": "9.9",
    "created": 0,
    "data": "/d",
    "branch": "main",
    "release": 0,
    "commit": "",
}
DAMAGED = "damaged, or its end is missing"


def made(place: Path, fill: Callable[[Writer], None], form: int = archive.FORMAT) -> bytes:
    with place.open("wb") as out, archive.compressed(out.fileno()) as stream:
        writer = Writer(stream)
        writer.content(archive.HEAD, json.dumps({**ABOUT, "format": form}).encode())
        fill(writer)
        writer.end()
    return place.read_bytes()


def unpacked(content: bytes, folder: Path, accept: Callable[[Head], None] = lambda _: None) -> Head:
    folder.mkdir()
    ours, theirs = os.pipe()
    if os.fork() == 0:
        os.close(ours)
        try:
            with open(theirs, "wb") as pipe:
                pipe.write(content)
        finally:
            os._exit(0)
    os.close(theirs)
    with open(ours, "rb") as pipe:
        return unpack.unpack(pipe, folder, accept)


def refused(content: bytes, folder: Path) -> str:
    with pytest.raises(PikuError) as error:
        unpacked(content, folder)
    return str(error.value)


@pytest.fixture
def app(tmp_path: Path) -> AppPaths:
    (tmp_path / "releases").mkdir()
    return AppPaths(root=tmp_path, name=AppName("shop"))


def test_data_comes_back_as_it_was(app: AppPaths, tmp_path: Path) -> None:
    (app.data / "inner" / "closed").mkdir(parents=True)
    (app.data / "inner" / "ä\udcff\n name").write_bytes(os.urandom(70_000))
    (app.data / "inner" / "run.sh").write_text("#!/bin/sh\n")
    (app.data / "inner" / "run.sh").chmod(0o755)
    (app.data / "inner" / "closed" / "x").touch(mode=0o400)
    os.utime(app.data / "inner" / "run.sh", (10, 20))
    (app.data / "inner" / "closed").chmod(0o500)
    (app.data / ("long" * 50)).write_text("x")
    (app.data / "link").symlink_to("/etc/passwd")
    (app.data / "folder").symlink_to("inner")
    os.mkfifo(app.data / "pipe")
    content = made(tmp_path / "file", lambda writer: contents.tree(app, writer, app.data, "data"))
    assert unpacked(content, tmp_path / "out").app == "shop"
    data = tmp_path / "out" / "data"
    (app.data / "pipe").unlink()
    for path in sorted(app.data.rglob("*")):
        other = data / path.relative_to(app.data)
        assert other.is_symlink() == path.is_symlink()
        if path.is_symlink():
            assert other.readlink() == path.readlink()
            continue
        assert other.stat().st_mode == path.stat().st_mode, path
        if path.is_file():
            assert other.read_bytes() == path.read_bytes()
    assert (data / "inner" / "run.sh").stat().st_mtime == 20
    assert len(list(data.rglob("*"))) == len(list(app.data.rglob("*")))
    (data / "inner" / "closed").chmod(0o700)
    (app.data / "inner" / "closed").chmod(0o700)


def test_databases_come_before_the_files_that_they_name(app: AppPaths, tmp_path: Path) -> None:
    """An app writes a file, then the row about it: whoever copies the row later misses the file."""
    (app.data / "z").mkdir(parents=True)
    (app.data / "a").write_text("x")
    with contextlib.closing(sqlite3.connect(app.data / "z" / "rows")) as database:
        database.execute("CREATE TABLE rows (number INTEGER)")
    content = made(tmp_path / "file", lambda writer: contents.tree(app, writer, app.data, "data"))
    listed = subprocess.run(["tar", "--zstd", "-t"], input=content, capture_output=True, check=True)
    names = [name.rstrip("/") for name in listed.stdout.decode().splitlines()]
    assert names[1:-1] == ["data/z/rows", "data", "data/a", "data/z"]


def test_what_did_not_arrive_whole_is_refused(tmp_path: Path) -> None:
    noise = os.urandom(300_000)
    content = made(tmp_path / "file", lambda writer: writer.content("data/x", noise))
    for number, length in enumerate((0, 3, 100, len(content) // 2, len(content) - 1)):
        assert DAMAGED in refused(content[:length], tmp_path / f"cut{number}") or length == 3
    for number, place in enumerate((20, 200, len(content) // 2, len(content) - 3)):
        flipped = bytearray(content)
        flipped[place] ^= 1
        assert DAMAGED in refused(bytes(flipped), tmp_path / f"flipped{number}")
    assert DAMAGED in refused(content + content[:-10], tmp_path / "more")


def test_a_file_that_somebody_packed_again_is_refused(tmp_path: Path) -> None:
    content = made(tmp_path / "file", lambda writer: writer.content("data/x", b"one"))
    with unpack.opened(io.BufferedReader(io.BytesIO(content))) as stream:  # type: ignore[arg-type]
        tar = stream.read()
    assert tar.count(b"one") == 1
    with (tmp_path / "again").open("wb") as out, archive.compressed(out.fileno()) as stream:
        stream.write(tar.replace(b"one", b"two"))
    assert DAMAGED in refused((tmp_path / "again").read_bytes(), tmp_path / "out")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "data/../../x", "other/x", "data/x"])
def test_nothing_is_written_elsewhere(name: str, tmp_path: Path) -> None:
    def fill(writer: Writer) -> None:
        link = tarfile.TarInfo("data/x" if name == "data/x" else "data/y")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
        writer.add(link)
        writer.content(name, b"x")

    (tmp_path / "secret").write_text("kept")
    refused(made(tmp_path / "file", fill), tmp_path / "out")
    assert (tmp_path / "secret").read_text() == "kept"
    assert not (tmp_path / "x").exists() and not (tmp_path.parent / "x").exists()


def test_newer_encrypted_and_other_files(tmp_path: Path) -> None:
    newer = made(tmp_path / "file", lambda _: None, archive.FORMAT + 1)
    assert "made by piku 9.9, which is newer" in refused(newer, tmp_path / "newer")
    assert "not a backup" in refused(b"PK\3\4 something else", tmp_path / "zip")
    with pytest.raises(PikuError) as error:
        unpacked(b"age-encryption.org/v1\n...", tmp_path / "age")
    assert "encrypted" in error.value.message and "age -d" in error.value.hint
    # A tar without our first member.
    with (tmp_path / "tar").open("wb") as out, archive.compressed(out.fileno()) as stream:
        Writer(stream).end()
    assert "not a backup" in refused((tmp_path / "tar").read_bytes(), tmp_path / "out")


def test_it_is_refused_by_its_name_before_the_rest_is_read(tmp_path: Path) -> None:
    content = made(tmp_path / "file", lambda writer: writer.content("data/x", b"x"))

    def accept(head: Head) -> None:
        raise PikuError(f"no {head.app}")

    with pytest.raises(PikuError, match="no shop"):
        unpacked(content, tmp_path / "out", accept)
    assert not list((tmp_path / "out").iterdir())


def test_without_zstd_it_is_gzip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gzip").symlink_to("/usr/bin/gzip")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("piku.subprocesses.SYSTEM_PATH", str(tmp_path / "bin"))
    content = made(tmp_path / "file", lambda writer: writer.content("data/x", b"x" * 5000))
    assert content[:2] == b"\x1f\x8b"
    unpacked(content, tmp_path / "out")
    assert (tmp_path / "out" / "data" / "x").read_bytes() == b"x" * 5000
    assert DAMAGED in refused(content[:-4], tmp_path / "cut")


def test_what_a_program_prints_comes_in_parts(tmp_path: Path) -> None:
    count = 40 << 20
    script = ["head", "-c", str(count), "/dev/zero"]
    content = made(tmp_path / "file", lambda writer: writer.output("dumps/db", script))
    unpacked(content, tmp_path / "out")
    assert len(list((tmp_path / "out" / "dumps" / "db").iterdir())) == 3
    assert unpack.joined(tmp_path / "out" / "dumps" / "db").stat().st_size == count
    with pytest.raises(PikuError):
        made(tmp_path / "file", lambda writer: writer.output("dumps/db", ["false"]))


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    for size in (10, 10 << 20):
        with pytest.raises(PikuError, match=r"cannot be written: .*No space left"):
            made(Path("/dev/full"), lambda writer: writer.content("data/x", os.urandom(size)))  # noqa: B023


def test_a_database_that_stays_locked_is_an_error(
    app: AppPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "_LOCKED", 0.2)
    app.data.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(app.data / "rows")) as database:
        database.execute("CREATE TABLE rows (number INTEGER)")
        database.execute("BEGIN EXCLUSIVE")
        with pytest.raises(PikuError, match="rows cannot be copied: a program keeps it locked"):
            made(tmp_path / "file", lambda writer: contents.tree(app, writer, app.data, "data"))
