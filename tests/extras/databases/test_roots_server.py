"""PostgreSQL that somebody else runs, in which piku has a role that may make roles and databases."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.extras.databases import support
from tests.extras.databases.support import POSTGRES


def program(name: str) -> str:
    """One of Debian's of the newest version."""
    found = Path("/usr/lib/postgresql").glob(f"*/bin/{name}")
    return str(max(found, key=lambda path: int(path.parts[4])))


@pytest.fixture
def theirs(server: Sandbox) -> Iterator[Path]:
    """The folder of its socket."""
    folder = server.base / "pg"
    data = str(folder / "data")
    folder.mkdir()
    (folder / "password").write_text("root's")
    given = ("-U", "postgres", "-A", "scram-sha-256", "--pwfile", str(folder / "password"))
    subprocess.run([program("initdb"), "-N", "-D", data, *given], check=True, capture_output=True)
    with (folder / "log").open("w") as log:
        running = subprocess.Popen(
            [program("postgres"), "-D", data, "-k", str(folder), "-h", "", "-F"],
            stdout=log,
            stderr=log,
        )
    ready = [program("pg_isready"), "-q", "-h", str(folder)]
    server.wait(lambda: subprocess.run(ready, check=False).returncode == 0)
    env = {**os.environ, "PGHOST": str(folder), "PGUSER": "postgres", "PGPASSWORD": "root's"}
    make = "CREATE ROLE piku LOGIN CREATEDB CREATEROLE PASSWORD 'known'"
    subprocess.run([program("psql"), "-c", make, "postgres"], env=env, check=True)
    yield folder
    running.terminate()
    running.wait()


def test_it_is_used(server: Sandbox, theirs: Path) -> None:
    own = server.root / "databases" / "postgres"
    own.mkdir(parents=True)
    administrator = {"name": "piku", "password": "known", "socket": str(theirs)}
    (own / "administrator.json").write_text(json.dumps(administrator))
    support.create(server, POSTGRES, "guest")
    support.add(server, POSTGRES, "guest", "one")
    assert f"host={theirs}" in server.piku("config:get", "guest", "DATABASE_URL").stdout
    dump = support.dumped(server, POSTGRES, "guest")
    support.tell(server, POSTGRES, "guest", "INSERT INTO notes VALUES ('two');")
    assert support.restored(server, POSTGRES, "guest", dump).returncode == 0
    assert support.notes(server, POSTGRES, "guest") == {"one"}
    assert not (own / "cluster").exists()
    assert not list((server.root / "uwsgi-enabled").glob("@postgres*"))
    assert server.piku("postgres:destroy", "guest", "--force").returncode == 0
