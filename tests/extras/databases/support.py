"""Kinds of databases as the tests use them: what to say to each client, and commands with dumps."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from sandbox import Sandbox


@dataclass(frozen=True)
class Kind:
    name: str
    variable: str
    add: str  # takes one word
    show: str
    newer: str  # makes the schema newer; "" where there is none
    title: str


_ADD = "CREATE TABLE IF NOT EXISTS notes (text varchar(20)); INSERT INTO notes VALUES ('{}');"
_SHOW, _NEWER = "SELECT text FROM notes;", "ALTER TABLE notes ADD COLUMN author varchar(20);"
POSTGRES = Kind("postgres", "DATABASE_URL", _ADD, _SHOW, _NEWER, "PostgreSQL")
MARIADB = Kind("mariadb", "DATABASE_URL", _ADD, _SHOW, _NEWER, "MariaDB")
SQLITE = Kind("sqlite", "DATABASE_URL", _ADD, _SHOW, _NEWER, "SQLite")
REDIS = Kind("redis", "REDIS_URL", "rpush notes {}", "lrange notes 0 -1", "", "Redis")
SERVERS = (POSTGRES, MARIADB, REDIS)
KINDS = (*SERVERS, SQLITE)


def notes(server: Sandbox, kind: Kind, app: str) -> set[str]:
    """The words in the database, read by its own client."""
    said = server.piku(f"{kind.name}:connect", app, input=f"{kind.show}\n")
    assert said.returncode == 0, said.stdout + said.stderr
    return {"one", "two", "three"} & set(said.stdout.split())


def add(server: Sandbox, kind: Kind, app: str, word: str) -> None:
    tell(server, kind, app, kind.add.format(word))


def tell(server: Sandbox, kind: Kind, app: str, text: str) -> None:
    said = server.piku(f"{kind.name}:connect", app, input=f"{text}\n")
    assert said.returncode == 0 and "ERROR" not in said.stderr, said.stdout + said.stderr


def create(server: Sandbox, kind: Kind, app: str) -> None:
    made = server.piku(f"{kind.name}:create", app)
    assert made.returncode == 0, made.stdout + made.stderr


def dumped(server: Sandbox, kind: Kind, app: str) -> bytes:
    """The dump, and nothing but it."""
    said = _piku(server, f"{kind.name}:dump", app)
    assert said.returncode == 0, said.stderr
    return said.stdout


def restored(
    server: Sandbox, kind: Kind, app: str, dump: bytes, *words: str
) -> subprocess.CompletedProcess[str]:
    said = _piku(server, f"{kind.name}:restore", app, *words, input=dump)
    out, errors = said.stdout.decode(), said.stderr.decode()
    return subprocess.CompletedProcess(said.args, said.returncode, out, errors)


def _piku(server: Sandbox, *words: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    argv = [str(server.checkout / "bin" / "piku"), *words]
    return subprocess.run(
        argv, env=server.server_env(), cwd=server.home, input=input, capture_output=True
    )
