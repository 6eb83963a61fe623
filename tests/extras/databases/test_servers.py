"""The databases of apps, on the real servers. They share one of each: making those takes longest."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from laptop import Completed, run
from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import App, refused, web
from tests.extras.databases import support
from tests.extras.databases.support import (
    KINDS,
    MARIADB,
    POSTGRES,
    REDIS,
    SERVERS,
    SQLITE,
    Kind,
)

by_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
# What an app tries: as (socket, exists, answered) for each path that it is given.
PROBE = """\
import json, os, socket, sys
found = {}
for path in sys.argv[1:]:
    try:
        if path.endswith(".json"):
            found[path] = open(path).read() and "read"
        else:
            client = socket.socket(socket.AF_UNIX)
            client.connect(path)
            found[path] = "connected"
    except OSError as error:
        found[path] = type(error).__name__
print(json.dumps(found))
"""


@by_kind
def test_life(server: Sandbox, kind: Kind) -> None:
    """Made before the first push; dumped, restored, refused when the schema is newer."""
    app = f"life.{kind.name}"
    support.create(server, kind, app)
    refused(server.piku(f"{kind.name}:create", app), 1, "database already")
    support.add(server, kind, app, "one")
    dump = support.dumped(server, kind, app)
    support.add(server, kind, app, "two")
    assert support.notes(server, kind, app) == {"one", "two"}
    assert support.restored(server, kind, app, dump).returncode == 0
    assert support.notes(server, kind, app) == {"one"}

    # A damaged one changes nothing, nor does one of an older schema.
    for broken in (dump[: len(dump) // 2], b"nonsense\n", b""):
        refused(support.restored(server, kind, app, broken), 1)
    if kind.newer:
        support.tell(server, kind, app, kind.newer)
        refused(support.restored(server, kind, app, dump), 1, "older schema", "notes.author")
        assert support.notes(server, kind, app) == {"one"}
        assert support.restored(server, kind, app, dump, "--force").returncode == 0
    assert "one" in support.notes(server, kind, app)

    shown = server.piku(f"{kind.name}:info", app).stdout
    assert f"{app} ({kind.variable})" in shown
    said = server.piku(f"{kind.name}:destroy", app, input="other\n")
    assert said.returncode == 1 and "nothing was removed" in said.stderr
    gone = server.piku(f"{kind.name}:destroy", app, input=f"{app}\n")
    assert gone.returncode == 0, gone.stderr
    refused(server.piku(f"{kind.name}:info", app), 1, "has no ", f"{kind.name}:create {app}")
    assert server.piku("config", app).stdout == ""
    refused(server.piku(f"{kind.name}:dump", "nobody"), 1, "there is no app called 'nobody'")


def test_a_live_app_gets_one_release(new_app: NewApp) -> None:
    app = new_app("live")
    before = len(app.releases())
    app.does("postgres:create")
    assert len(app.releases()) == before + 1
    url = app.does("config:get", "DATABASE_URL").strip()
    assert url in app.does("config:live") and app.body() == "one"
    assert url not in (app.server.root / "logs" / "live" / "build.log").read_text()
    # Another app may have the same, and its owner's goes on when that app is destroyed.
    other = new_app("other", push=False)
    other.does("apps:create")
    refused(app.says("sqlite:create"), 1, "has a setting DATABASE_URL already", "--as SQLITE_URL")
    other.does("postgres:link", "live")
    assert other.does("config:get", "DATABASE_URL").strip() == url
    support.add(app.server, POSTGRES, "live", "one")
    said = app.does("destroy", "--force")
    assert "Kept: its postgres database" in said
    assert support.notes(app.server, POSTGRES, "live") == {"one"}
    app.does("apps:create")
    app.does("postgres:create")  # it gets it back
    assert support.notes(app.server, POSTGRES, "live") == {"one"}
    assert app.does("config:get", "DATABASE_URL").strip() == url
    app.does("postgres:destroy", "--force")
    assert "DATABASE_URL" not in other.does("config")


def test_walls(server: Sandbox, new_app: NewApp) -> None:
    """Inside walls an app reaches its own databases, and knows no other's password."""
    apps = []
    for name in ("ann", "bob"):
        app = new_app(name, {**web(name), "probe.py": PROBE}, push=False)
        app.does("apps:create")
        app.does("config:set", "PIKU_SANDBOX=true")
        for kind in (POSTGRES, REDIS):
            app.does(f"{kind.name}:create")
        app.deployed()
        apps.append(app)
    root = server.root / "databases"
    sockets = [app.does("config:get", "REDIS_URL").strip() for app in apps]
    paths = [url.partition("@")[2].partition("?")[0] for url in sockets]
    secret = str(root / "postgres" / "administrator.json")
    shared = str(root / "postgres" / "run" / ".s.PGSQL.5432")
    lines = apps[0].does("run", "--", "python3", "probe.py", *paths, shared, secret)
    found = json.loads(lines.splitlines()[-1])
    assert found == {
        paths[0]: "connected", shared: "connected",
        paths[1]: "FileNotFoundError", secret: "FileNotFoundError",
    }  # fmt: skip
    # With the password that it has, it gets into no other database, and is nobody else.
    own, others = (app.does("config:get", "DATABASE_URL").strip() for app in apps)
    name, other = (url.partition("@/")[2].partition("?")[0] for url in (own, others))
    said = psql(apps[0], own.replace(f"@/{name}", f"@/{other}"))
    assert said.returncode != 0 and "permission denied for database" in said.stderr, said.stderr
    for who in ("postgres", other):
        said = psql(apps[0], f"postgres://{who}@/{other}?host={Path(shared).parent}")
        assert said.returncode != 0 and "no password supplied" in said.stderr, said.stderr
    assert psql(apps[0], own).returncode == 0
    # Its Redis is outside the walls: there it may do nothing but keep data.
    for words in ("config set dir /", "replicaof 127.0.0.1 1", "module list"):
        said = server.piku("redis:connect", "ann", input=f"{words}\n")
        assert "NOPERM" in said.stdout, said.stdout


def psql(app: App, url: str) -> Completed:
    return app.says("run", "--", "psql", "-w", url, "-c", "select 1")


# What a backup does with the databases of one app, and a restore under another name.
BACKUP = """\
import io, json, os, subprocess, sys
from piku.extras.databases import backups, base
from piku.paths import AppName, Paths
piku, old, new = sys.argv[1:]
sys.argv = [piku]
paths = Paths.from_environment(os.environ)
found = {}
for name, argv in backups.dump(paths, paths.app(AppName(old))):
    content = subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout
    try:
        with backups.load(paths, paths.app(AppName(f"{new}-failed")), name):
            raise KeyError
    except KeyError:
        assert not base.of(paths.app(AppName(f"{new}-failed")))
    with backups.load(paths, paths.app(AppName(new)), name) as (argv, settings):
        subprocess.run(argv, input=content, stdout=2, check=True)
        found.update(settings)
print(json.dumps(found))
"""


def test_the_way_through_a_backup(server: Sandbox) -> None:
    for kind in (POSTGRES, REDIS):
        support.create(server, kind, "backed")
        support.add(server, kind, "backed", "one")
    for name in ("copy", "copy-failed"):
        assert server.piku("apps:create", name).returncode == 0
    piku = str(server.checkout / "bin" / "piku")
    said = run(
        [sys.executable, "-c", BACKUP, piku, "backed", "copy"],
        env={**server.server_env(), "PYTHONPATH": str(server.checkout / "src")},
        cwd=server.home,
    )
    assert said.returncode == 0, said.stderr
    settings = json.loads(said.stdout)
    server.piku("config:set", "copy", *(f"{name}={value}" for name, value in settings.items()))
    for kind in (POSTGRES, REDIS):
        assert support.notes(server, kind, "copy") == {"one"}
        assert f"copy ({kind.variable})" in server.piku(f"{kind.name}:info", "copy").stdout
        theirs = server.piku("config:get", "backed", kind.variable).stdout.strip()
        assert theirs != settings[kind.variable]
        refused(server.piku(f"{kind.name}:create", "copy"), 1, "database already")


# What a schema may have, and statements that use it; the answers of a copy are the original's.
RICH = {
    POSTGRES: (
        """
        CREATE EXTENSION pg_trgm;
        CREATE TYPE word AS ENUM ('one', 'two', 'three');
        CREATE SCHEMA inside;
        CREATE TABLE inside.notes (id bigint GENERATED ALWAYS AS IDENTITY, text word NOT NULL);
        CREATE TABLE log (text text);
        CREATE INDEX ON log USING gin (text gin_trgm_ops);
        CREATE VIEW shown AS SELECT id, text FROM inside.notes;
        CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM inside.notes;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN INSERT INTO log VALUES (NEW.text); RETURN NEW; END $$;
        CREATE TRIGGER noting AFTER INSERT ON inside.notes FOR EACH ROW EXECUTE FUNCTION note();
        COMMENT ON TABLE log IS 'what the trigger writes';
        INSERT INTO inside.notes (text) VALUES ('one');
        SELECT lo_from_bytea(4711, 'large');
        """,
        """
        INSERT INTO inside.notes (text) VALUES ('two');
        REFRESH MATERIALIZED VIEW kept;
        SELECT * FROM shown; SELECT * FROM log; SELECT * FROM kept;
        SELECT similarity('word', 'words') > 0; SELECT convert_from(lo_get(4711), 'UTF8');
        """,
    ),
    MARIADB: (
        """
        CREATE TABLE notes (id int AUTO_INCREMENT PRIMARY KEY, text varchar(20), image blob);
        CREATE TABLE log (text varchar(20));
        CREATE VIEW shown AS SELECT id, text FROM notes;
        CREATE TRIGGER noting AFTER INSERT ON notes FOR EACH ROW INSERT INTO log VALUES (NEW.text);
        CREATE PROCEDURE add_note(IN word varchar(20)) INSERT INTO notes (text) VALUES (word);
        CREATE FUNCTION twice(n int) RETURNS int DETERMINISTIC RETURN 2 * n;
        CREATE EVENT tidying ON SCHEDULE EVERY 1 DAY DO DELETE FROM log;
        CREATE SEQUENCE numbers START WITH 100;
        INSERT INTO notes (text, image) VALUES ('one', x'00ff27605c0a'), ('ä', NULL);
        """,
        """
        CALL add_note('two');
        SELECT * FROM shown; SELECT * FROM log; SELECT hex(image) FROM notes; SELECT twice(21);
        SELECT event_name, status FROM information_schema.events WHERE event_schema = database();
        SELECT nextval(numbers);
        """,
    ),
    SQLITE: (
        """
        CREATE TABLE notes (id integer PRIMARY KEY AUTOINCREMENT, text text, image blob);
        CREATE TABLE log (text text);
        CREATE VIEW shown AS SELECT id, text FROM notes;
        CREATE TRIGGER noting AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (NEW.text); END;
        INSERT INTO notes (text, image) VALUES ('one', x'00ff27'), ('two', NULL);
        DELETE FROM notes WHERE text = 'two';
        """,
        """
        INSERT INTO notes (text) VALUES ('three');
        SELECT * FROM shown; SELECT * FROM log; SELECT hex(image) FROM notes;
        """,
    ),
}


@pytest.mark.parametrize("kind", RICH, ids=lambda kind: kind.name)
def test_everything_that_a_schema_may_have(server: Sandbox, kind: Kind) -> None:
    """In a dump that its own database takes, and in the backup for another one, with another role."""
    make, use = RICH[kind]
    app, copy, backup = f"{kind.name}.schema", f"{kind.name}.twin", str(server.home / kind.name)

    def asked(name: str, text: str) -> str:
        said = server.piku(f"{kind.name}:connect", name, input=text)
        assert said.returncode == 0 and "ERROR" not in said.stderr, said.stdout + said.stderr
        return said.stdout

    support.create(server, kind, app)
    asked(app, make)
    dump = support.dumped(server, kind, app)
    for words in (["backup", app, backup], ["restore", backup, "--as", copy]):
        done = server.piku(*words)
        assert done.returncode == 0, done.stdout + done.stderr
    first = asked(app, use)
    assert "one" in first
    assert asked(copy, use) == first
    done = support.restored(server, kind, app, dump)
    assert done.returncode == 0, done.stderr
    assert asked(app, use) == first


def test_no_secret_on_a_command_line(server: Sandbox) -> None:
    """Of servers and clients alike."""
    support.create(server, REDIS, "quiet")
    url = server.piku("config:get", "quiet", "REDIS_URL").stdout.strip()
    password = url.partition("unix://:")[2].partition("@")[0]
    assert len(password) >= 24
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert password.encode() not in line.read_bytes()
        except OSError:
            continue


def test_no_network(server: Sandbox) -> None:
    """A socket of the file system is the only way in."""
    support.create(server, POSTGRES, "socket")
    for words in (["mariadb:create", "socket", "--as", "MARIADB_URL"], ["redis:create", "socket"]):
        assert server.piku(*words).returncode == 0
    found = {process.pid for process in server.processes() if "databases" in str(process)}
    assert len(found) >= len(SERVERS)
    listening = run(["ss", "-Hlnp", "--tcp", "--udp"], env=server.server_env(), cwd=server.home)
    pids = {int(pid) for pid in re.findall(r"pid=(\d+)", listening.stdout)}
    assert pids and not found & pids, listening.stdout
    assert " of 64.00M" in server.piku("redis:info", "socket").stdout


def test_a_new_server(server: Sandbox) -> None:
    """The way to a new version: a dump, the old files moved away, the dump restored."""
    both, dumps, app = (POSTGRES, MARIADB), {}, "moved"
    server.piku("mariadb:create", app, "--as", "MARIADB_URL")
    support.create(server, POSTGRES, app)
    for kind in both:
        support.add(server, kind, app, "one")
        dumps[kind] = support.dumped(server, kind, app)
    addresses = server.piku("config", app).stdout
    server.stop_platform()
    for kind in both:
        folder = server.root / "databases" / kind.name
        (folder / "cluster").rename(folder / "cluster.old")
    server.start_platform()
    for kind in both:
        assert support.restored(server, kind, app, dumps[kind]).returncode == 0
        assert support.notes(server, kind, app) == {"one"}
    assert server.piku("config", app).stdout == addresses


def test_power_cut(server: Sandbox) -> None:
    """What was written is there after everything was killed, also when PostgreSQL's number is
    another program's by then; and a server that is asked to end does so in order."""
    for kind in SERVERS:
        app = f"cut-{kind.name}"
        support.create(server, kind, app)
        support.add(server, kind, app, "one")
    server.kill_platform()
    pid = server.root / "databases" / "postgres" / "cluster" / "postmaster.pid"
    lines = pid.read_text().splitlines()
    pid.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    for kind in SERVERS:
        said = server.piku(f"{kind.name}:dump", f"cut-{kind.name}")
        refused(said, 1, "piku does not run on this server")
        said = server.piku("backup", f"cut-{kind.name}", str(server.home / "none"))
        refused(said, 1, f"piku does not run on this server, so {kind.title} is down")
    assert not list(server.home.glob("*none*"))
    server.start_platform()
    for kind in SERVERS:
        assert support.notes(server, kind, f"cut-{kind.name}") == {"one"}, kind
    server.stop_platform()
    assert not pid.exists()
    server.start_platform()
    for kind in SERVERS:
        assert support.notes(server, kind, f"cut-{kind.name}") == {"one"}, kind


def test_wrong_password_file(server: Sandbox) -> None:
    """One line says so, and what was to be made or restored leaves nothing behind."""
    backup = server.home / "wrong.backup"
    for kind in SERVERS:
        support.create(server, kind, f"wrong-{kind.name}")
        assert server.piku("backup", f"wrong-{kind.name}", str(backup)).returncode == 0
        place = server.root / "databases" / kind.name / "administrator.json"
        text = place.read_text()
        place.write_text(text.replace('"password": "', '"password": "x'))
        commands = [(f"{kind.name}:create", "next"), ("restore", str(backup), "--as", "next.copy")]
        if kind is REDIS:  # a new one has a server of its own
            commands = [("redis:info", "wrong-redis")]
        said = [server.piku(*words) for words in commands]
        place.write_text(text)
        for one in said:
            refused(one, 1, "restore databases/")
    assert not (server.root / "envs" / "next" / "databases.json").exists()
    assert not list(server.root.glob("*/next.copy"))


def test_a_version_that_is_not_installed(server: Sandbox) -> None:
    """One line says which, and the server of the databases goes on."""
    support.create(server, POSTGRES, "old")
    place = server.root / "databases" / "postgres" / "cluster" / "PG_VERSION"
    text = place.read_text()
    place.write_text("9\n")
    try:
        for verb in ("info", "dump", "connect"):
            said = server.piku(f"postgres:{verb}", "old")
            refused(said, 1, "PostgreSQL 9, which made the files, is gone", "postgresql-9")
        assert server.piku("redis:create", "old").returncode == 0
        assert (server.root / "uwsgi-enabled" / "@postgres.ini").exists()
    finally:
        place.write_text(text)
    assert server.piku("postgres:info", "old").returncode == 0


def test_servers_end_with_the_last_database(server: Sandbox) -> None:
    """Whoever uses no database pays for none."""
    folder = server.root / "uwsgi-enabled"
    for record in (server.root / "envs").glob("*/databases.json"):
        for one in json.loads(record.read_text())["databases"]:
            done = server.piku(f"{one['kind']}:destroy", record.parent.name, "--force")
            assert done.returncode == 0, done.stderr
    assert {path.name for path in folder.glob("@*")} == {"@housekeeping.ini"}
    server.wait(lambda: not list((server.root / "databases").glob("*/run/*.sock")))
