"""Which archives become a commit, and which are refused."""

import gzip
import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from piku.errors import PikuError
from piku.extras.sources import archive

Make = Callable[[tarfile.TarFile], None]


def member(name: str, data: bytes = b"", **fields: object) -> Make:
    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        for field, value in fields.items():
            setattr(info, field, value)
        tar.addfile(info, io.BytesIO(data))

    return add


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Make:
    return member(name, type=kind, linkname=target)


def packed(*members: Make) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for add in members:
            add(tar)
    return file.getvalue()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet", "--bare", "--template=")
    return tmp_path


def git(repository: Path, *words: str) -> str:
    run = ["git", "-C", str(repository), *words]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout


def commit(repository: Path, data: bytes, parent: str = "") -> str:
    with io.BufferedReader(io.BytesIO(data)) as file:  # type: ignore[arg-type]
        return archive.commit(repository, file, parent, "ci").commit


def listing(repository: Path, commit: str) -> dict[str, str]:
    rows = git(repository, "ls-tree", "-r", "-z", commit).split("\0")[:-1]
    return {row.partition("\t")[2]: row[:6] for row in rows}


def test_files_links_modes_and_odd_names(repository: Path) -> None:
    names = ["./a", "b/run", 'c "quoted" \\ \n é', "b/./again", "sub/.git/config", ".git/HEAD"]
    data = packed(
        member("./", type=tarfile.DIRTYPE, mode=0o755),
        *(member(name, name.encode(), mode=0o755 if name == "b/run" else 0o640) for name in names),
        link("b/link", "../a"),
        member("a", b"later wins"),
    )
    first = commit(repository, data)
    assert listing(repository, first) == {
        "a": "100644", "b/run": "100755", 'c "quoted" \\ \n é': "100644", "b/again": "100644",
        "b/link": "120000",
    }  # fmt: skip
    assert git(repository, "cat-file", "blob", f"{first}:a") == "later wins"
    assert git(repository, "cat-file", "blob", f"{first}:b/link") == "../a"
    git(repository, "fsck", "--strict")
    # The next one has the files of its own archive, and this one for a parent.
    second = commit(repository, gzip.compress(packed(member("new", b"x"))), first)
    assert list(listing(repository, second)) == ["new"]
    assert git(repository, "log", "--format=%H %s", second).splitlines() == [
        f"{second} Archive of 1 files, by ci", f"{first} Archive of 5 files, by ci",
    ]  # fmt: skip


def test_a_folder_that_holds_all_is_taken_away(repository: Path) -> None:
    top = ("shop-1.0/Procfile", "shop-1.0/src/app.py")
    found = commit(repository, packed(*(member(name, b"x") for name in top)))
    assert list(listing(repository, found)) == ["Procfile", "src/app.py"]
    found = commit(repository, packed(*(member(name, b"x") for name in (*top, "README"))), found)
    assert list(listing(repository, found)) == ["README", *top]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (packed(member("/etc/cron.d/x")), "a path that leads out"),
        (packed(member("a/../../x")), "a path that leads out"),
        (packed(link("a/b", "../../x")), "a link that leads out"),
        (packed(link("top/b", "../x"), member("top/c")), "a link that leads out"),
        (packed(link("a", "/etc/passwd")), "a link that leads out"),
        (packed(member("a"), link("b", "a", tarfile.LNKTYPE)), "a hard link"),
        (packed(member("a", type=tarfile.CHRTYPE)), "a device"),
        (packed(member("a", type=tarfile.FIFOTYPE)), "a device or pipe"),
        (packed(), "has no files"),
        (packed(member(".git/HEAD")), "has no files"),
        (packed(member("a", b"x" * 9000))[:5000], "not a whole tar"),
        (gzip.compress(packed(member("a", b"x" * 9000)), mtime=0)[:-4], "not a whole tar"),
        (b"PK\x03\x04" + bytes(600), "not a whole tar"),
        (b"", "not a whole tar"),
    ],
)  # fmt: skip
def test_refused(repository: Path, data: bytes, words: str) -> None:
    with pytest.raises(PikuError, match=words):
        commit(repository, data)


def test_a_size_that_the_disk_has_not(repository: Path) -> None:
    info = tarfile.TarInfo("large")
    info.size = 1 << 50
    with pytest.raises(PikuError, match="disk has room"):
        commit(repository, info.tobuf() + bytes(1024))
