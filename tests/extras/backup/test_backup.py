"""Backups of apps that are written to, and what comes of them on this and on another server."""

import os
import re
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.conftest import started
from tests.e2e.support import WEB, App, own_certificate, snapshot, web

WRITER = Path(__file__).with_name("writer.py").read_text()
# A database of the simplest kind: one file per app, beside everything else of the server.
PLUGIN = """\
import contextlib
import sys
from piku.errors import PikuError
from piku.extra import Extra

EXTRA = Extra(name="toy", dump="piku_plugins.toy:dump", load="piku_plugins.toy:load")


def place(app):
    return app.root / f"toy@{app.name}"


def dump(paths, app):
    if place(app).exists():
        yield "toy.txt", ["cat", str(place(app))]


def load(paths, app, name):
    return loading(app) if name == "toy.txt" else None


@contextlib.contextmanager
def loading(app):
    if (app.root / "toy-down").exists():
        raise PikuError("the toy server does not answer")
    place(app).touch()
    try:
        yield ["dd", "status=none", f"of={place(app)}"], {"TOY_URL": f"toy:{app.name}"}
    except BaseException:
        place(app).unlink()
        raise
"""


@pytest.fixture(scope="module")
def other() -> Iterator[Sandbox]:
    """A second server."""
    yield from started()


def saved(app: App, *options: str) -> Path:
    """The backup that a laptop gets."""
    place = app.server.client / f"{app.name}.backup"
    with place.open("wb") as file:
        command = [
            "ssh",
            *app.server.ssh_options(),
            app.server.address,
            "backup",
            app.name,
            *options,
        ]
        subprocess.run(command, stdout=file, stdin=subprocess.DEVNULL, check=True)
    return place


def restored(server: Sandbox, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    with file.open("rb") as source:
        return subprocess.run(
            ["ssh", *server.ssh_options(), server.address, "restore", "-", *options],
            stdin=source, capture_output=True, text=True, check=False,
        )  # fmt: skip


def rows(place: Path) -> list[int]:
    with sqlite3.connect(place) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [number for (number,) in database.execute("SELECT number FROM rows ORDER BY rowid")]


def plug(server: Sandbox) -> None:
    folder = server.root / "plugins" / "toy"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(PLUGIN)


def test_on_another_server_under_another_name_while_it_is_written_to(
    new_app: Callable[..., App], server: Sandbox, other: Sandbox
) -> None:
    shop = new_app("shop", {**web("shop"), "server.py": WRITER})
    plug(server)
    plug(other)
    (shop.data / "uploads").mkdir()
    (shop.data / "uploads" / "ä.bin").write_bytes(bytes(range(256)) * 9000)
    (shop.data / "link").symlink_to("uploads")
    (server.root / "toy@shop").write_text("rows of the toy database")
    command = "PIKU_BACKUP_COMMAND=echo ran > $DATA_ROOT/ran"
    shop.does(
        "config:set",
        "SECRET=a b'c",
        f"DB=sqlite:///{shop.data}/app.sqlite3",
        f"FOLDER={shop.data}",
        f"OTHERS={shop.data}-2/x",
        command,
        "NGINX_REDIRECT_FROM=old.localhost",
    )
    shop.does("ps:scale", "web=2")
    certificate = own_certificate(shop, "shop.localhost", "old.localhost")
    server.wait(lambda: int(shop.body()) > 40)
    before = int(shop.body())
    file = saved(shop)
    assert (shop.data / "ran").read_text() == "ran\n"
    assert int(shop.body()) > before  # it was never kept from writing
    verified = other.piku("backup:verify", str(file))
    assert verified.returncode == 0, verified.stderr
    for words in (
        "shop, made ",
        "release v2",
        "app.sqlite3: SQLite, 1 tables, sound",
        "database toy.txt",
    ):
        assert words in verified.stdout
    assert "a b" not in verified.stdout  # no secret

    copy = App(server=other, name="copy", repository=shop.repository)
    (other.root / "ENV").write_text("QUIET=1\n")
    done = restored(other, file, "--as", "copy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "v1 is live" in done.stdout and "Loading toy.txt" in done.stdout
    assert "NGINX_SERVER_NAME=" in done.stdout
    assert "web=1 until it has a host name, then: piku ps:scale copy web=2" in done.stdout
    copy.does("config:set", "NGINX_SERVER_NAME=copy.localhost")
    numbers = rows(copy.data / "app.sqlite3")
    assert len(numbers) >= before
    assert numbers == [n for n in range(1, len(numbers) // 2 + 1) for _ in range(2)]
    assert int(copy.body()) == len(numbers)
    assert (copy.data / "uploads" / "ä.bin").read_bytes() == bytes(range(256)) * 9000
    assert (copy.data / "link").readlink() == Path("uploads")
    assert (other.root / "toy@copy").read_text() == "rows of the toy database"
    settings = copy.does("config")
    assert "old.localhost" not in settings
    assert copy.does("config:get", "SECRET") == "a b'c\n"
    assert copy.does("config:get", "DB") == f"sqlite:///{copy.data}/app.sqlite3\n"
    assert copy.does("config:get", "FOLDER") == f"{copy.data}\n"
    assert copy.does("config:get", "OTHERS") == f"{shop.data}-2/x\n"
    assert copy.does("config:get", "TOY_URL") == "toy:copy\n"
    assert sorted(copy.ps()) == ["web.1"]
    assert not (other.root / "nginx" / "copy@own.pem").exists()
    # Under its own name it has its host names, and their certificate.
    again = restored(other, file)
    assert again.returncode == 0, again.stderr
    twin = App(server=other, name="shop", repository=shop.repository)
    assert int(twin.body()) >= before
    assert sorted(twin.ps()) == ["web.1", "web.2"]
    assert (other.root / "nginx" / "shop@own.pem").read_text() == certificate
    assert "already an app called 'shop'" in restored(other, file).stderr


def test_what_fails_leaves_nothing(
    new_app: Callable[..., App], server: Sandbox, other: Sandbox
) -> None:
    app = new_app("frail", {**web("frail"), "Procfile": WEB + "release: test -z $BAD\n"})
    (app.data / "x").write_text("x")
    (app.data / "large").write_bytes(os.urandom(100_000))
    (server.root / "toy@frail").write_text("rows")
    file = saved(app)
    content = file.read_bytes()
    folders = ("repos", "data", "envs", "releases", "nginx", "apps", "logs", "cache")

    def state() -> dict[str, str]:
        found = snapshot(other.root)
        below = {Path(path).relative_to(other.root): what for path, what in found.items()}
        return {
            str(path): what
            for path, what in below.items()
            if (path.parts[0] in folders and "frail" in str(path)) or "toy" in str(path)
        }

    (other.root / "data" / "frail").mkdir()
    (other.root / "data" / "frail" / "kept").write_text("of an app that was destroyed")
    before = state()
    cut, flipped = file.with_name("cut"), file.with_name("flipped")
    cut.write_bytes(content[:-20])
    middle = len(content) // 2
    flipped.write_bytes(content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :])
    for wrong in (cut, flipped):
        assert "damaged, or its end is missing" in restored(other, wrong).stderr
        assert "damaged" in other.piku("backup:verify", str(wrong)).stderr
        assert state() == before
    # There is no room for it.
    limited = ["sh", "-c", 'ulimit -f 20; exec "$@"', "sh", str(other.checkout / "bin" / "piku")]
    failed = subprocess.run(
        [*limited, "restore", str(file)],
        env=other.server_env(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert failed.returncode == 1 and "cannot write: File too large" in failed.stderr
    assert state() == before
    # The database's server is down.
    (other.root / "toy-down").touch()
    failed = restored(other, file)
    assert (
        "the toy server does not answer" in failed.stderr
        and "nothing of it is left" in failed.stdout
    )
    (other.root / "toy-down").unlink()
    assert {k: v for k, v in state().items() if "lock" not in k} == before
    # Its release command fails here.
    (other.root / "ENV").write_text("BAD=1\n")
    failed = restored(other, file)
    assert failed.returncode == 1 and "v1 failed at the release command" in failed.stderr
    assert {k: v for k, v in state().items() if "lock" not in k} == before
    (other.root / "ENV").unlink()
    # And at last: what was there before is kept beside it.
    done = restored(other, file)
    assert done.returncode == 0, done.stderr
    assert (other.root / "data" / "frail" / "x").read_text() == "x"
    [aside] = (other.root / "data").glob("frail@*")
    assert (aside / "kept").read_text() == "of an app that was destroyed"


def test_an_app_that_cannot_be_backed_up_says_so(
    new_app: Callable[..., App], server: Sandbox
) -> None:
    app = new_app("odd")
    app.does("config:set", "PIKU_BACKUP_COMMAND=echo no; exit 3")
    place = server.client / "odd.file"
    failed = app.says("backup", str(place))
    assert failed.returncode == 1 and "PIKU_BACKUP_COMMAND failed with exit code 3" in failed.stderr
    assert not place.exists() and not list(server.client.glob(".odd*"))
    app.does("config:unset", "PIKU_BACKUP_COMMAND")
    (app.data / "db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    failed = app.says("backup", str(place))
    assert failed.returncode == 1 and "db cannot be copied: " in failed.stderr
    (app.data / "db").unlink()
    assert "No such file or directory" in app.says("backup", "/nowhere/x").stderr
    assert server.piku("backup").returncode == 2
    assert "there is no app called 'nobody'" in server.piku("backup", "nobody", "x").stderr
    assert "No such file" in server.piku("restore", "/nowhere/x").stderr
    # All of them, each for itself.
    (app.data / "db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    failed = server.piku("backup", "--all")
    assert failed.returncode == 1 and "no new backup of odd" in failed.stderr
    made = (server.root / "backups").rglob("*.tar.*")
    assert sorted(path.parent.name for path in made) == ["frail", "shop"]
    (app.data / "db").unlink()
    assert server.piku("backup", "--all").returncode == 0
    assert len(list((server.root / "backups" / "odd").iterdir())) == 1


def test_progress_on_a_terminal(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("large")
    with (app.data / "zeros").open("wb") as file:
        file.truncate(500 << 20)  # which takes a few seconds, and no place
    said = server.ssh(f"backup large {server.client}/large.backup", tty=True)
    assert said.returncode == 0, said.stdout
    assert re.search(r"^       \d+ MB$", said.stdout, re.M), said.stdout
    assert f"The backup of large is in {server.client}/large.backup: " in said.stdout
    app.does("destroy", "--force")
    (app.data / "zeros").unlink()


def test_an_app_that_was_never_deployed(server: Sandbox, other: Sandbox) -> None:
    assert server.piku("apps:create", "empty").returncode == 0
    empty = App(server=server, name="empty", repository=server.client / "empty")
    empty.does("config:set", "A=1")
    done = restored(other, saved(empty))
    assert done.returncode == 0, done.stderr
    assert (
        App(server=other, name="empty", repository=empty.repository).does("config:get", "A")
        == "1\n"
    )
