"""A Django app with PostgreSQL, uploads and a file of SQLite goes to another server while it is written to."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sandbox import HOST, Completed, Sandbox

from tests.e2e.conftest import maker
from tests.e2e.support import CHECKOUT, App, refused, snapshot, ssh_to_itself
from tests.runtimes.conftest import started

# The guestbook, with a second database, and a view that keeps what it gets in all three places.
SETTINGS = """
DATA_UPLOAD_MAX_MEMORY_SIZE = None
DATABASES["journal"] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": DATA / "journal.sqlite3",
    "OPTIONS": {"timeout": 30, "init_command": "PRAGMA journal_mode=wal"},
}
"""
VIEW = """
import hashlib

from django.conf import settings
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
def upload(request: HttpRequest, name: str) -> HttpResponse:
    folder = settings.DATA / "uploads"
    folder.mkdir(exist_ok=True)
    (folder / f".{name}").write_bytes(request.body)
    (folder / f".{name}").rename(folder / name)
    text = f"{name} {hashlib.sha256(request.body).hexdigest()}"
    for database in ("default", "journal"):
        Entry.objects.using(database).create(text=text)
    return HttpResponse("kept")
"""
URL = """
urlpatterns += [path("upload/<slug:name>", views.upload)]
"""
RELEASE = "release: python manage.py migrate --noinput"
QUERY = "SELECT id, text FROM guestbook_entry ORDER BY id"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    yield from started()


@pytest.fixture(scope="module")
def other() -> Iterator[Sandbox]:
    """A second server."""
    yield from started()


@pytest.fixture(scope="module")
def app(server: Sandbox) -> App:
    ssh_to_itself(server, server.base / "bin")
    app: App = maker(server)("django", CHECKOUT / "examples" / "howto-django", push=False)
    text = {
        name: (app.repository / name).read_text()
        for name in ("guestbook/settings.py", "guestbook/views.py", "guestbook/urls.py", "Procfile")
    }
    text["guestbook/settings.py"] += SETTINGS
    text["guestbook/views.py"] += VIEW
    text["guestbook/urls.py"] += URL
    text["Procfile"] = text["Procfile"].replace(
        RELEASE, f"{RELEASE} && python manage.py migrate --noinput --database journal"
    )
    server.commit(app.repository, text)
    app.does("apps:create")
    app.does("postgres:create")
    app.deployed()
    for number in range(40):
        upload(app, f"early-{number}", os.urandom(5000))
    upload(app, "large", os.urandom(30_000_000))
    return app


def upload(app: App, name: str, content: bytes) -> None:
    status, _, body = app.server.get(app.host, f"/upload/{name}", method="POST", body=content)
    assert (status, body) == (200, b"kept")


@contextlib.contextmanager
def written_to(app: App) -> Iterator[list[str]]:
    """Uploads, one after the other, while the block runs; the names of those that were answered."""
    done, names = threading.Event(), list[str]()
    prefix = os.urandom(4).hex()

    def write() -> None:
        while not done.is_set():
            name = f"{prefix}-{len(names)}"
            upload(app, name, os.urandom(20_000))
            names.append(name)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        app.server.wait(lambda: len(names) > 10)
        yield names
        count = len(names)
        app.server.wait(lambda: len(names) > count + 10)
    finally:
        done.set()
        writer.join()


@dataclass(frozen=True, kw_only=True)
class Content:
    """The rows of both databases, each as "NUMBER NAME SHA256", and the hash of each upload."""

    postgres: list[str]
    sqlite: list[str]
    uploads: dict[str, str]


def content(app: App) -> Content:
    asked = app.server.piku(
        "postgres:connect", app.name, input=f"COPY ({QUERY}) TO STDOUT (DELIMITER ' ');\n"
    )
    assert asked.returncode == 0, asked.stderr
    with contextlib.closing(sqlite3.connect(app.data / "journal.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = [f"{number} {text}" for number, text in database.execute(QUERY)]
    return Content(
        postgres=[line.replace("\\ ", " ") for line in asked.stdout.splitlines()],
        sqlite=rows,
        uploads={
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (app.data / "uploads").glob("[!.]*")
        },
    )


def over_ssh(app: App) -> Path:
    """The file that a laptop gets."""
    place = app.server.client / "django.backup"
    command = ["ssh", *app.server.ssh_options(), app.server.address, "backup", app.name]
    with place.open("wb") as file:
        subprocess.run(command, stdout=file, stdin=subprocess.DEVNULL, check=True)
    return place


def scheduled(app: App, to: str, folder: Path) -> Path:
    app.does("backup:schedule", "@daily", "--to", f"{to}{folder}")
    app.does("backup:run")
    [place] = folder.iterdir()
    return place


ROUTES = {
    "ssh": over_ssh,
    "folder": lambda app: scheduled(app, "", app.server.base / "kept"),
    "machine": lambda app: scheduled(
        app, f"ssh://{app.server.user}@{HOST}:{app.server.ssh_port}", app.server.base / "kept there"
    ),
}


def restored(server: Sandbox, file: Path, name: str) -> Completed:
    return server.piku("restore", str(file), "--as", name)


@pytest.mark.parametrize("route", ROUTES)
def test_nothing_is_missing(app: App, other: Sandbox, route: str) -> None:
    before = content(app)
    with written_to(app) as names:
        count = len(names)
        file = ROUTES[route](app)
        assert len(names) > count  # it was never kept from writing
    done = restored(other, file, f"copy-{route}")
    assert done.returncode == 0, done.stdout + done.stderr
    copy = App(server=other, name=f"copy-{route}", repository=app.repository)
    ours, theirs = content(app), content(copy)
    # All that was there when it began, and of what came meanwhile one moment of each database.
    for had, have, got in (
        (before.postgres, ours.postgres, theirs.postgres),
        (before.sqlite, ours.sqlite, theirs.sqlite),
    ):
        assert len(had) + count <= len(got) <= len(have)
        assert got == have[: len(got)]
    assert before.uploads.items() <= theirs.uploads.items() <= ours.uploads.items()
    # Each row's file is there.
    for row in (*theirs.postgres, *theirs.sqlite):
        _, name, digest = row.split(" ")
        assert theirs.uploads[name] == digest
    print(
        f"{route}: {len(theirs.postgres)} rows in PostgreSQL, {len(theirs.sqlite)} in SQLite, "
        f"{len(theirs.uploads)} files, of {len(ours.uploads)} after it"
    )
    # And the copy goes on.
    copy.does("config:set", f"NGINX_SERVER_NAME={copy.host}")
    upload(copy, "later", b"later")
    assert content(copy).postgres[-1].split(" ")[1] == "later"
    assert "<h1>Guestbook</h1>" in copy.body()
    assert "later" not in content(app).uploads


def test_environments_are_built_where_they_run(app: App, other: Sandbox) -> None:
    """The next server may have another processor, or another version of Python."""
    file = over_ssh(app)
    listed = subprocess.run(["tar", "--zstd", "-tf", str(file)], capture_output=True, check=True)
    names = listed.stdout.decode().splitlines()
    assert "data/uploads/large" in names and "dumps/postgres.database-url/00000000" in names
    folders = {name.partition("/")[0] for name in names}
    assert folders <= {"backup.json", "settings", "repository", "dumps", "data", "end.json"}
    done = restored(other, file, "rebuilt")
    assert done.returncode == 0 and ": building python-" in done.stdout, done.stdout + done.stderr


def state(server: Sandbox) -> dict[str, str]:
    """What is on a server with an app called "first": files of the apps, and databases."""
    found = {
        path: what
        for folder in ("repos", "data", "envs", "apps", "nginx", "releases")
        for path, what in snapshot(server.root / folder).items()
        if not path.endswith(".log")
    }
    query = "SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles;\n"
    asked = server.piku("postgres:connect", "first", input=query)
    assert asked.returncode == 0, asked.stderr
    return found | {"databases": asked.stdout}


def test_a_damaged_file_changes_nothing(app: App, other: Sandbox) -> None:
    file = over_ssh(app)
    for words in (["apps:create", "first"], ["postgres:create", "first"]):
        assert other.piku(*words).returncode == 0
    whole, wrong = file.read_bytes(), file.with_name("wrong")
    before = state(other)
    flipped = [
        whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        for place in (100, len(whole) // 3, len(whole) - 3)
    ]
    cut = [whole[:length] for length in (len(whole) - 1, len(whole) - 40, len(whole) // 2)]
    for damaged in (*flipped, *cut):
        wrong.write_bytes(damaged)
        refused(restored(other, wrong, "second"), 1, "damaged, or its end is missing")
        assert state(other) == before
