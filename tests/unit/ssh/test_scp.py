"""What old scp clients may ask, checked alone and with the real program on both ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import piku.ssh.scp
from piku.errors import PikuError
from piku.ssh.scp import scp_argv

SRC = Path(piku.ssh.scp.__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    top = tmp_path / "piku"
    (top / "releases/shop/abc").mkdir(parents=True)
    (top / "releases/shop/abc/app.py").write_text("live\n")
    (top / "apps").mkdir()
    (top / "apps/shop").symlink_to("../releases/shop/abc")
    (top / "data").mkdir()
    for name in ("a.txt", "b.txt", "c.bin", "[x].txt", ".hidden.txt"):
        (top / "data" / name).write_text(name)
    return top


def test_an_upload_names_one_absolute_path(root: Path) -> None:
    assert scp_argv(["scp", "-t", "data/x"], root) == ["scp", "-t", "--", f"{root}/data/x"]
    assert scp_argv(["scp", "-r", "-p", "-d", "-v", "-q", "-t", "--", "data"], root) == [
        *("scp", "-r", "-p", "-d", "-v", "-q", "-t", "--"),
        f"{root}/data",
    ]


def test_flags_may_be_combined_and_repeated(root: Path) -> None:
    assert scp_argv(["scp", "-rt", "-r", "data"], root) == ["scp", "-r", "-t", "--", f"{root}/data"]


@pytest.mark.parametrize("text", [".", "", "~", "~/", "data/.."])
def test_home_is_the_root(root: Path, text: str) -> None:
    assert scp_argv(["scp", "-t", text], root)[-1].rstrip("/") == str(root)


def test_paths_that_begin_with_a_dash_stay_paths(root: Path) -> None:
    assert scp_argv(["scp", "-f", "--", "-S", "--"], root)[3:] == [f"{root}/-S", f"{root}/--"]


def test_a_trailing_slash_of_an_upload_stays(root: Path) -> None:
    assert scp_argv(["scp", "-t", "data/missing/"], root)[-1] == f"{root}/data/missing/"


def test_an_app_is_reached_through_its_link(root: Path) -> None:
    assert scp_argv(["scp", "-t", "apps/shop/x"], root)[-1] == f"{root}/releases/shop/abc/x"
    # The client asked for "shop" and refuses an answer called "abc".
    assert scp_argv(["scp", "-r", "-f", "apps/shop"], root)[-1] == f"{root}/apps/shop"
    assert (
        scp_argv(["scp", "-f", f"{root}/apps/shop/app.py"], root)[-1]
        == f"{root}/releases/shop/abc/app.py"
    )


def test_downloads_expand_as_a_shell_would(root: Path) -> None:
    def sent(*texts: str) -> list[str]:
        argv = scp_argv(["scp", "-f", *texts], root)
        return [os.path.relpath(path, root) for path in argv[3:]]

    assert sent("data/?.txt") == ["data/a.txt", "data/b.txt"]
    assert sent("data/*.txt", "data/c.bin") == [
        "data/[x].txt",
        "data/a.txt",
        "data/b.txt",
        "data/c.bin",
    ]
    assert sent("data/[x].*") == ["data/[x].txt"]
    assert sent(f"{root}/d*/c*") == ["data/c.bin"]
    assert sent("data/*.none") == ["data/*.none"]
    assert sent("apps/*/app.py") == ["releases/shop/abc/app.py"]


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["scp"],
        ["sh", "-c", "id"],
        ["/bin/scp", "-t", "x"],
        ["scp", "data/x"],
        ["scp", "-t"],
        ["scp", "-t", "a", "b"],
        ["scp", "-f"],
        ["scp", "-t", "-f", "x"],
        ["scp", "-S", "/bin/sh", "-t", "x"],
        ["scp", "-oProxyCommand=id", "-t", "x"],
        ["scp", "-rS", "-t", "x"],
        ["scp", "-t", "-"],
        ["scp", "--help", "-t", "x"],
        ["scp", "-3", "-t", "x"],
        ["scp", "-t", "a\0b"],
        ["scp", "-t", "x" * 5000],
    ],
)
def test_anything_else_is_refused(root: Path, command: list[str]) -> None:
    with pytest.raises(PikuError) as caught:
        scp_argv(command, root)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    "text", ["/etc/passwd", "/", "../x", "data/../../x", "out/passwd", "~/../x", "../*"]
)
@pytest.mark.parametrize("flag", ["-t", "-f"])
def test_paths_outside_are_refused_by_name(root: Path, text: str, flag: str) -> None:
    (root / "out").symlink_to("/etc")
    with pytest.raises(PikuError, match="is outside") as caught:
        scp_argv(["scp", flag, text], root)
    assert caught.value.code == 2


def test_a_pattern_that_matches_something_outside_is_refused(root: Path) -> None:
    (root / "out").symlink_to("/etc")
    with pytest.raises(PikuError, match="out/passwd' is outside"):
        scp_argv(["scp", "-f", "o*/passwd"], root)


def test_a_folder_with_a_way_out_is_refused(root: Path) -> None:
    (root / "data/deep").mkdir()
    (root / "data/deep/out").symlink_to("/etc")
    (root / "data/back").symlink_to("..")  # a loop inside the root is no way out
    (root / "near").mkdir()
    (root / "near/there").symlink_to("../data/deep")
    for command in (
        ["-r", "-f", "data"],
        ["-r", "-t", "data"],
        ["-t", "data/deep"],
        ["-rf", "near"],
    ):
        with pytest.raises(PikuError, match="deep/out") as caught:
            scp_argv(["scp", *command], root)
        assert caught.value.hint
    scp_argv(["scp", "-t", "data"], root)
    scp_argv(["scp", "-f", "data/a.txt"], root)


@pytest.fixture
def ssh(tmp_path: Path, root: Path) -> Path:
    """Stands in for ssh: runs the command at the end of its arguments as the forced command would."""
    program = tmp_path / "ssh"
    program.write_text(
        f"#!{sys.executable}\n"
        f"import os, pathlib, shlex, sys\nsys.path.insert(0, {str(SRC)!r})\n"
        "from piku.ssh.scp import scp_argv\n"
        f"argv = scp_argv(shlex.split(sys.argv[-1]), pathlib.Path({str(root)!r}))\n"
        "os.execvp(argv[0], argv)\n"
    )
    program.chmod(0o755)
    return program


def test_the_real_scp_on_both_ends(root: Path, ssh: Path, tmp_path: Path) -> None:
    local = tmp_path / "local"
    (local / "site/css").mkdir(parents=True)
    (local / "site/css/a b.css").write_bytes(bytes(range(256)) * 3000)

    def scp(*args: str) -> int:
        argv = ["scp", "-q", "-O", "-S", str(ssh), *args]
        return subprocess.run(
            argv, cwd=local, timeout=60, check=False, capture_output=True
        ).returncode

    assert scp("-r", "-p", "site", "host:data") == 0
    assert scp("-r", "host:data/site", "back") == 0
    assert scp("-r", "host:apps/shop", ".") == 0
    assert scp("host:data/*.txt", f"host:{root}/data/c.bin", ".") == 0
    assert (local / "back/css/a b.css").read_bytes() == (
        root / "data/site/css/a b.css"
    ).read_bytes()
    assert (local / "shop/app.py").read_text() == "live\n"
    assert (local / "b.txt").read_text() == "b.txt"
    assert (local / "c.bin").exists()
    assert scp("host:/etc/passwd", "stolen") != 0
    assert scp("b.txt", "host:../escaped") != 0
    assert scp("b.txt", "host:data/missing/") != 0
    assert not (local / "stolen").exists()
    assert not (tmp_path / "escaped").exists()
    assert not (root / "data/missing").exists()
