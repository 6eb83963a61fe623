"""What git-lfs asks over SSH, and what it is answered."""

import hashlib
import io
import subprocess
from pathlib import Path

import pytest

from piku.errors import PikuError
from piku.extras.lfs import pointers, store, transfer
from piku.extras.lfs.pointers import Pointer
from piku.paths import AppName, AppPaths

DATA = b"content\r\n" * 9000
OID = hashlib.sha256(DATA).hexdigest()
SIZE = len(DATA)
DELIMITER, FLUSH = b"0001", b"0000"


@pytest.fixture
def app(tmp_path: Path) -> AppPaths:
    (tmp_path / "repos" / "shop").mkdir(parents=True)
    return AppPaths(root=tmp_path, name=AppName("shop"))


def packet(data: bytes | str) -> bytes:
    raw = f"{data}\n".encode() if isinstance(data, str) else data
    return f"{len(raw) + 4:04x}".encode() + raw


def put(data: bytes = DATA, *, oid: str = OID, size: int = SIZE) -> bytes:
    chunks = b"".join(packet(data[at : at + 32768]) for at in range(0, len(data), 32768))
    return packet(f"put-object {oid}") + packet(f"size={size}") + DELIMITER + chunks + FLUSH


def batch(*lines: str) -> bytes:
    rows = b"".join(map(packet, lines))
    return packet("batch") + packet("transfer=ssh") + DELIMITER + rows + FLUSH


def answers(app: AppPaths, operation: str, *requests: bytes) -> list[list[str]]:
    """The lines of each answer after the greeting."""
    sink = io.BytesIO()
    transfer.Connection(app, operation, io.BytesIO(b"".join(requests)), sink).serve()
    found: list[list[str]] = [[]]
    sink.seek(0)
    while head := sink.read(4):
        size = int(head, 16)
        if size == 0:
            found.append([])
        elif size > 4:
            found[-1].append(sink.read(size - 4).decode().rstrip("\n"))
    assert found.pop() == []
    assert found[0] == ["version=1"]
    return found[1:]


def uploaded(app: AppPaths) -> list[Path]:
    return [path for path in app.repo.rglob("*") if path.is_file()]


def test_up_and_down(app: AppPaths) -> None:
    verify = packet(f"verify-object {OID}") + packet(f"size={SIZE}") + FLUSH
    asked = (
        packet("version 1") + FLUSH, batch(f"{OID} {SIZE}"), verify, put(), verify,
        batch(f"{OID} {SIZE}"), packet("quit") + FLUSH, b"never read",
    )  # fmt: skip
    assert answers(app, "upload", *asked) == [
        ["status 200"],
        ["status 200", "hash-algo=sha256", f"{OID} {SIZE} upload"],
        ["status 404", "it is not here"],
        ["status 200"],
        ["status 200"],
        ["status 200", "hash-algo=sha256", f"{OID} {SIZE} noop"],
        ["status 200"],
    ]
    get = packet(f"get-object {OID}") + FLUSH
    other = packet(f"get-object {'0' * 64}") + FLUSH
    known, first, second = answers(app, "download", batch(f"{OID} {SIZE}"), get, other)
    assert known[-1] == f"{OID} {SIZE} download"
    assert first[:2] == ["status 200", f"size={SIZE}"]
    assert second[0] == "status 404"


@pytest.mark.parametrize(
    "request_",
    [put(DATA[:-1]), put(DATA + b"more"), put(b"x" * SIZE), put(size=10**17), put(oid="../x"), put(b"")],
    ids=["short", "long", "other", "larger than the disk", "no hash", "empty"],
)  # fmt: skip
def test_what_is_not_what_it_says_is_not_kept(app: AppPaths, request_: bytes) -> None:
    refused, good = answers(app, "upload", request_, put())
    assert refused[0] in ("status 400", "status 422") and good == ["status 200"]
    assert uploaded(app) == [store.place(app, OID)]


def test_a_client_that_goes_away_leaves_nothing(app: AppPaths) -> None:
    for end in (100, 20_000, 60_000):
        answers(app, "upload", put()[:end])
        assert not uploaded(app)


def test_locks_and_unknown_requests(app: AppPaths) -> None:
    put_down = packet(f"get-object {OID}") + FLUSH
    for name in ("list-locks", "lock", "evil"):
        [found] = answers(app, "upload", packet(name) + packet("path=x") + FLUSH)
        assert found[0] == "status 501"
    assert answers(app, "upload", put_down)[0][0] == "status 501"
    assert answers(app, "download", batch("../../etc/passwd 5"))[0][0] == "status 400"
    with pytest.raises(PikuError):
        answers(app, "upload", b"GET / HTTP/1.0")


def test_pointers_of_a_commit(tmp_path: Path) -> None:
    version = "version https://git-lfs.github.com/spec/v1\n"
    good = f"{version}oid sha256:{OID}\nsize {SIZE}\n"
    extended = f"{version}ext-0-a sha256:{'1' * 64}\noid sha256:{OID}\nsize 5\n"
    texts = {
        "a\nb \u00e9.bin": good,
        "sub/extended": extended,
        "text.md": f"A pointer:\n{good}",
        "crlf": good.replace("\n", "\r\n"),
        "more": good + "x\n",
        "bytes": "\udcff" * 300,
    }
    tree = tmp_path / "tree"
    for name, text in texts.items():
        place = tree / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode(errors="surrogateescape"))
    (tree / "link").symlink_to(good.replace("\n", "-")[:200])
    who = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "core.autocrlf=false")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "x")):
        subprocess.run(["git", *who, "-C", str(tree), *words], check=True)
    found = pointers.of_commit(tree, "HEAD")
    assert found == {
        "a\nb \u00e9.bin": Pointer(oid=OID, size=SIZE),
        "sub/extended": Pointer(oid=OID, size=5),
    }
    assert pointers.of_history(tree) == set(found.values())
