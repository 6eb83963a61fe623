"""The SFTP server, spoken to by OpenSSH's own clients and by hand."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import piku.ssh.sftp
from piku.ssh.sftp import serve

SRC = Path(piku.ssh.sftp.__file__).parents[2]
OK, EOF, NO_SUCH_FILE, DENIED, FAILURE, UNSUPPORTED = 0, 1, 2, 3, 4, 8
STATUS, HANDLE, DATA, NAME, ATTRS = 101, 102, 103, 104, 105


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root as piku lays it out, with a link inside it that leads out."""
    top = tmp_path / "piku"
    (top / "releases/shop/abc").mkdir(parents=True)
    (top / "releases/shop/abc/app.py").write_text("live\n")
    (top / "apps").mkdir()
    (top / "apps/shop").symlink_to(top / "releases/shop/abc")
    (top / "data").mkdir()
    (top / "etc").symlink_to("/etc")
    (top / "out").symlink_to("../outside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("secret")
    return top


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "local"
    folder.mkdir()
    return folder


@pytest.fixture
def server(tmp_path: Path, root: Path) -> Path:
    """A program that serves `root` on its stdin and stdout, as the forced command does."""
    program = tmp_path / "server"
    program.write_text(
        f"#!{sys.executable}\n"
        f"import sys, pathlib\nsys.path.insert(0, {str(SRC)!r})\n"
        "from piku.ssh.sftp import serve\n"
        f"serve(pathlib.Path({str(root)!r}), sys.stdin.buffer, sys.stdout.buffer)\n"
    )
    program.chmod(0o755)
    return program


class Client:
    def __init__(self, server: Path, local: Path) -> None:
        self.server, self.local = server, local

    def __call__(self, *lines: str, code: int = 0) -> str:
        """Run sftp on a batch of lines; its stdout and stderr together."""
        done = subprocess.run(
            ["sftp", "-q", "-b", "-", "-D", str(self.server)],
            input="\n".join(lines) + "\n",
            cwd=self.local,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout
        assert "Traceback" not in done.stdout
        return done.stdout


@pytest.fixture
def sftp(server: Path, local: Path) -> Client:
    return Client(server, local)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def noise(path: Path, size: int) -> bytes:
    data = os.urandom(size)
    path.write_bytes(data)
    return data


def test_the_working_folder_is_the_root(sftp: Client, root: Path) -> None:
    assert f"Remote working directory: {root}" in sftp("pwd")


@pytest.mark.parametrize("size", [0, 1, 32768, 5 * 1024 * 1024 + 7])
def test_a_file_goes_both_ways_unchanged(sftp: Client, root: Path, local: Path, size: int) -> None:
    data = noise(local / "there", size)
    sftp("put there data/x", "get data/x back")
    assert (root / "data/x").read_bytes() == data
    assert (local / "back").read_bytes() == data


def test_folders_go_both_ways(sftp: Client, root: Path, local: Path) -> None:
    (local / "site/css/empty").mkdir(parents=True)
    (local / "site/index.html").write_text("<p>")
    (local / "site/css/a b.css").write_text("p{}")
    sftp("put -r site data", "get -r data/site back")
    for folder in (root / "data/site", local / "back"):
        assert (folder / "index.html").read_text() == "<p>"
        assert (folder / "css/a b.css").read_text() == "p{}"
        assert (folder / "css/empty").is_dir()


def test_long_listing_names_kind_size_and_every_entry(sftp: Client, root: Path) -> None:
    for number in range(250):
        (root / f"data/n{number:03}").touch()
    (root / "data/sub").mkdir()
    (root / "data/five").write_text("12345")
    os.utime(root / "data/five", (0, 1_000_000_000))
    lines = sftp("ls -l data").splitlines()
    assert len([line for line in lines if "data/n" in line or " n" in line]) >= 250
    assert any(line.startswith("-rw") and " 5 Sep" in line and " 2001 " in line for line in lines)
    assert any(line.startswith("drwx") and line.endswith("sub") for line in lines)
    assert any(
        line.startswith("lrwx") and line.endswith("etc") for line in sftp("ls -l").splitlines()
    )


def test_an_app_is_reached_through_its_link(sftp: Client, root: Path, local: Path) -> None:
    (local / "new").write_text("new\n")
    sftp(
        "get apps/shop/app.py",
        "put new apps/shop/new",
        f"get {root}/apps/shop/new again",
        "cd apps/shop",
    )
    assert (local / "app.py").read_text() == "live\n"
    assert (local / "again").read_text() == "new\n"
    assert (root / "releases/shop/abc/new").exists()
    assert "app.py" in sftp("ls apps/shop/")


def test_a_root_that_is_a_link_itself(
    sftp: Client, root: Path, tmp_path: Path, local: Path
) -> None:
    root.rename(tmp_path / "elsewhere")
    root.symlink_to(tmp_path / "elsewhere")
    (local / "x").write_text("x")
    assert "data" in sftp(f"put x {root}/data/x", f"ls {root}", f"ls -l {root}/", "ls")
    assert (tmp_path / "elsewhere/data/x").read_text() == "x"


def test_rename_replaces_or_refuses_as_asked(sftp: Client, root: Path) -> None:
    (root / "data/a").write_text("a")
    (root / "data/b").write_text("b")
    sftp(
        "rename -l data/a data/b", code=1
    )  # the draft's own request: never over a file that is there
    assert (root / "data/b").read_text() == "b"
    sftp("rename data/a data/b", "rename -l data/b data/c")
    assert (root / "data/c").read_text() == "a"
    assert names(root / "data") == ["c"]


def test_names_are_made_and_removed(sftp: Client, root: Path) -> None:
    (root / "data/x").touch()
    sftp("mkdir data/d", "mkdir data/d/e", "rmdir data/d/e", "rm data/x")
    assert names(root / "data") == ["d"]
    sftp("rm data/x", code=1)
    sftp("rmdir data", code=1)
    sftp("mkdir data", code=1)


def test_symlinks_are_made_inside_and_refused_outside(
    sftp: Client, root: Path, local: Path
) -> None:
    (root / "data/x").write_text("x")
    sftp(
        "symlink x data/near",
        "symlink ../data/x apps/far",
        f"symlink {root}/data data/abs",
        "get apps/far",
    )
    assert str((root / "data/near").readlink()) == "x"
    assert (local / "far").read_text() == "x"
    for target in ("/etc/passwd", "../../x", "../etc/passwd", "/"):
        assert "ermission denied" in sftp(f"symlink {target} data/bad", code=1)
    assert not os.path.lexists(root / "data/bad")
    sftp("rm out")
    assert not os.path.lexists(root / "out")
    assert (root.parent / "outside/secret").exists()


def test_a_link_is_renamed_and_removed_itself(sftp: Client, root: Path) -> None:
    sftp("rename apps/shop apps/store", "rm apps/store/")
    assert names(root / "apps") == []
    assert (root / "releases/shop/abc/app.py").exists()


def test_permissions_and_times(sftp: Client, root: Path, local: Path) -> None:
    (local / "x").write_text("x")
    (local / "x").chmod(0o640)
    os.utime(local / "x", (1_000_000_000, 1_000_000_001))
    sftp("put -p x data/x")
    assert (root / "data/x").stat().st_mode & 0o7777 == 0o640
    assert (root / "data/x").stat().st_mtime == 1_000_000_001
    sftp("chmod 6755 data/x")
    assert (root / "data/x").stat().st_mode & 0o7777 == 0o755
    (local / "x").chmod(0o6755)
    sftp("put -p x data/y")
    assert (root / "data/y").stat().st_mode & 0o7777 == 0o755


def test_transfers_resume(sftp: Client, root: Path, local: Path) -> None:
    data = noise(local / "x", 300_000)
    (root / "data/x").write_bytes(data[:100_000])
    sftp("reput x data/x")
    assert (root / "data/x").read_bytes() == data
    (local / "y").write_bytes(data[:123_456])
    sftp("reget data/x y")
    assert (local / "y").read_bytes() == data


@pytest.mark.parametrize("path", ["/etc/passwd", "etc/passwd", "../outside/secret", "out/secret"])
def test_nothing_outside_is_read(sftp: Client, root: Path, local: Path, path: str) -> None:
    sftp(f"get {path} got", code=1)
    sftp(f"ls {path}", code=1)
    assert not (local / "got").exists()
    for folder in ("/", "/etc", "etc", "..", "data/../.."):
        assert f"{folder!r} is outside" in sftp(f"cd {folder}", code=1).replace(f"{root}/", "")


# Only names this test owns: were the server ever wrong, a test run as root would change the machine.
@pytest.mark.parametrize(
    "path",
    [
        "{tmp}/outside/secret",
        "../outside/secret",
        "out/secret",
        "apps/shop/../../../../outside/secret",
    ],
)
def test_nothing_outside_is_changed(
    sftp: Client, tmp_path: Path, root: Path, local: Path, path: str
) -> None:
    path = path.format(tmp=tmp_path)
    secret = tmp_path / "outside/secret"
    before = secret.stat()
    (local / "mine").write_text("mine")
    for line in (
        f"put mine {path}",
        f"put mine {path}.new",
        f"rm {path}",
        f"chmod 777 {path}",
        f"rename {path} data/x",
        f"rename data {path}",
        f"mkdir {path}.new",
        f"symlink data {path}.new",
    ):
        assert "ermission denied" in sftp(line, code=1), line
    assert names(tmp_path / "outside") == ["secret"]
    assert secret.stat() == before
    assert names(root / "data") == []


def test_scp_speaks_to_it(server: Path, root: Path, local: Path) -> None:
    data = noise(local / "x", 700_000)

    def scp(*args: str) -> int:
        argv = ["scp", "-q", "-s", "-r", "-p", "-D", str(server), *args]
        done = subprocess.run(argv, cwd=local, timeout=60, check=False, capture_output=True)
        assert b"Traceback" not in done.stderr
        return done.returncode

    assert scp("x", "host:data/") == 0
    assert scp("x", "host:data/y") == 0
    assert scp("host:data/?", "host:~/apps/shop/app.py", ".") == 0
    assert (root / "data/y").read_bytes() == (local / "y").read_bytes() == data
    assert (local / "app.py").read_text() == "live\n"
    assert scp("x", "host:data/missing/") != 0
    assert scp("x", "host:/etc/piku-test") != 0
    assert scp("host:etc/passwd", "stolen") != 0
    assert not (local / "stolen").exists()
    assert not (root / "data/missing").exists()


# By hand


def text(value: str | bytes) -> bytes:
    data = os.fsencode(value)
    return struct.pack(">I", len(data)) + data


def packet(kind: int, body: bytes, request_id: int = 7) -> bytes:
    return frame(bytes([kind]) + struct.pack(">I", request_id) + body)


def frame(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


INIT = frame(b"\x01" + struct.pack(">I", 3))
NO_ATTRS = struct.pack(">I", 0)


def talk(root: Path, *packets: bytes) -> list[bytes]:
    """Send INIT and `packets`; every reply's payload after VERSION."""
    replies = io.BytesIO()
    serve(root, io.BytesIO(INIT + b"".join(packets)), replies)
    data, found = replies.getvalue(), []
    while data:
        size = int.from_bytes(data[:4], "big")
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    assert found.pop(0)[:5] == b"\x02\0\0\0\x03"
    return found


def codes(replies: list[bytes]) -> list[int]:
    """The status code of each reply; -1 for one that is no status."""
    return [int.from_bytes(reply[5:9], "big") if reply[0] == STATUS else -1 for reply in replies]


def opening(path: str | bytes, flags: int) -> bytes:
    return packet(3, text(path) + struct.pack(">I", flags) + NO_ATTRS)


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff\xff\xff\xff",
        frame(b""),
        frame(b"\x01"),
        frame(b"\x03" + bytes(8)),
        INIT[:-1],
    ],
)
def test_a_stream_that_is_not_sftp_ends_without_a_word(root: Path, stream: bytes) -> None:
    replies = io.BytesIO()
    serve(root, io.BytesIO(stream), replies)
    assert replies.getvalue() == b""


@pytest.mark.parametrize(
    "bad",
    [
        frame(b""),
        frame(b"\x03"),
        packet(3, b""),
        packet(3, struct.pack(">I", 0xFFFFFFFF) + b"x"),
        packet(3, text("data/x") + b"\0"),
        packet(9, text("data") + struct.pack(">I", 0xF)),
        packet(200, b"\0\0"),
        struct.pack(">I", 257 * 1024 + 1) + bytes(300_000),
        struct.pack(">I", 100) + b"cut",
        b"\0\0",
    ],
)
def test_a_malformed_packet_ends_the_session(root: Path, bad: bytes) -> None:
    good = packet(16, text("."))
    assert [reply[0] for reply in talk(root, good, bad, good)] == [NAME]


def test_random_packets_never_raise(root: Path) -> None:
    dice = random.Random(1)
    for _ in range(500):
        body = text(dice.choice(["data", "apps/shop", "1", "a\0b", ""])) + dice.randbytes(
            dice.randrange(30)
        )
        talk(root, packet(dice.randrange(256), body))


def test_unknown_requests_and_extensions_are_unsupported(root: Path) -> None:
    assert codes(talk(root, packet(99, b""), packet(200, text("copy-data")))) == [
        UNSUPPORTED,
        UNSUPPORTED,
    ]


def test_a_reply_carries_its_request_id_and_a_message(root: Path) -> None:
    (reply,) = talk(root, packet(17, text("/etc"), request_id=0xDEADBEEF))
    assert reply[1:5] == b"\xde\xad\xbe\xef"
    assert codes([reply]) == [DENIED]
    assert b"'/etc' is outside" in reply


def test_realpath_of_nothing_and_dot_is_the_root(root: Path) -> None:
    for name in ("", ".", "./", "data/..", str(root)):
        (reply,) = talk(root, packet(16, text(name)))
        assert text(str(root)) in reply


def test_hostile_names_are_refused_or_kept_as_they_are(root: Path) -> None:
    odd = b"data/\xff\xfe new\nline"
    requests = opening(odd, 0x1A), packet(17, text(b"a\0b")), packet(17, text("x" * 9000))
    assert codes(talk(root, *requests)) == [-1, DENIED, DENIED]
    assert names(root / "data") == [os.fsdecode(odd[5:])]
    handle = text("1")
    (_, listing) = talk(root, packet(11, text("data")), packet(12, handle))
    assert text(odd[5:]) in listing


def test_loops_of_links_open_no_way_out(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    before = root / "link0"
    before.symlink_to("data")
    for number in range(1, 1500):
        (root / f"link{number}").symlink_to(f"link{number - 1}")
    replies = talk(
        root,
        opening("loop/../etc/passwd", 1),
        opening("loop", 1),
        packet(17, text("loop/x")),
        packet(17, text("link1499")),
        packet(7, text("loop")),
    )
    assert codes(replies) == [DENIED, NO_SUCH_FILE, NO_SUCH_FILE, DENIED, -1]


def test_a_link_made_elsewhere_is_not_followed_out(root: Path) -> None:
    (root / "data/out").symlink_to(root.parent / "made")
    making = opening("data/out", 0x1A), packet(14, text("data/out/d") + NO_ATTRS)
    assert codes(talk(root, *making)) == [DENIED, DENIED]
    assert not (root.parent / "made").exists()
    looking = packet(7, text("data/out")), packet(19, text("data/out"))
    assert [reply[0] for reply in talk(root, *looking)] == [ATTRS, NAME]


def test_the_root_itself_cannot_be_removed_or_moved(root: Path) -> None:
    for name in ("", ".", "data/..", str(root)):
        replies = talk(root, packet(15, text(name)), packet(18, text(name) + text("data/x")))
        assert codes(replies) == [DENIED, DENIED]


def test_handles_are_bounded_and_come_back(root: Path) -> None:
    openings = [packet(11, text("data"))] * 64
    replies = talk(root, *openings, opening("x", 0x1A), packet(4, text("1")), opening("x", 0x1A))
    assert codes(replies) == [-1] * 64 + [FAILURE, OK, -1]


def test_handles_of_the_wrong_kind_fail(root: Path) -> None:
    folder, unknown = text("1"), text("nobody")
    long = struct.pack(">QI", 0, 10)
    replies = talk(
        root,
        packet(11, text("data")),
        packet(5, folder + long),
        packet(5, unknown + long),
        packet(12, unknown),
        packet(4, unknown),
        packet(12, folder),
    )
    assert codes(replies) == [-1, FAILURE, FAILURE, FAILURE, FAILURE, EOF]


def test_numbers_beyond_the_kernel_fail(root: Path) -> None:
    huge = struct.pack(">Q", 2**64 - 1)
    (root / "data/x").touch()
    replies = talk(
        root,
        opening("data/x", 3),
        packet(5, text("1") + huge + bytes(4)),
        packet(6, text("1") + huge + text("x")),
        packet(10, text("1") + struct.pack(">I", 1) + huge),
        packet(9, text("data/x") + struct.pack(">I", 1) + huge),
    )
    assert codes(replies) == [-1] + [FAILURE] * 4


def test_open_flags(root: Path) -> None:
    (root / "data/x").write_text("abc")
    (root / "data/near").symlink_to("nothing")
    os.mkfifo(root / "data/pipe")
    replies = talk(
        root,
        opening("data/x", 0x2A),  # write, create, exclusive: it is there
        opening("data/near", 0x2A),  # so is a link to nothing
        opening("data/pipe", 1),
        opening("data", 1),
        opening("data/new/", 0x1A),
        opening("data/missing", 2),
        opening("data/x", 0x06),  # append: the offset does not count
        packet(6, text("1") + struct.pack(">Q", 0) + text("def")),
        packet(200, text("fsync@openssh.com") + text("1")),
        packet(8, text("1")),
    )
    assert codes(replies) == [
        FAILURE,
        FAILURE,
        FAILURE,
        FAILURE,
        FAILURE,
        NO_SUCH_FILE,
        -1,
        OK,
        OK,
        -1,
    ]
    assert (root / "data/x").read_text() == "abcdef"
    assert names(root / "data") == ["near", "pipe", "x"]


def test_new_files_and_folders_follow_the_umask(root: Path) -> None:
    before = os.umask(0o027)
    try:
        talk(root, opening("data/x", 0x1A), packet(14, text("data/d") + NO_ATTRS))
    finally:
        os.umask(before)
    assert (root / "data/x").stat().st_mode & 0o7777 == 0o640
    assert (root / "data/d").stat().st_mode & 0o7777 == 0o750


def test_every_file_is_closed_when_the_client_leaves(root: Path) -> None:
    before = names(Path("/proc/self/fd"))
    talk(root, *[opening(f"data/{number}", 0x1A) for number in range(30)])
    assert len(names(Path("/proc/self/fd"))) == len(before)


def test_a_client_that_is_gone_ends_the_session(root: Path) -> None:
    class Gone(io.BytesIO):
        def flush(self) -> None:
            raise BrokenPipeError

    serve(root, io.BytesIO(INIT), Gone())


def test_a_raw_stream_may_read_short(root: Path) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 1))

    replies = io.BytesIO()
    serve(root, Slow(INIT + packet(16, text("."))), replies)
    assert os.fsencode(root) in replies.getvalue()
