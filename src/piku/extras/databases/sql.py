"""The rows of PostgreSQL, MariaDB and SQLite."""

import signal
from pathlib import Path
from urllib.parse import quote

from piku import files, procfs, subprocesses
from piku.errors import PikuError
from piku.extras.databases.base import Daemon, Program
from piku.extras.databases.kind import SCRATCH, Kind, User
from piku.paths import TEMPLATES


class Postgres(Kind):
    name, title, package, user = "postgres", "PostgreSQL", "postgresql", "postgres"
    programs, socket_name, home = ("psql",), ".s.PGSQL.5432", "postgres"
    asker = ("psql", "-X", "-qAt", "-v", "ON_ERROR_STOP=1")
    shell, dumper = ("psql",), ("pg_dump", "--format=custom")

    @property
    def url(self) -> str:
        who = f"{self.one.name}:{self.one.password}"
        return f"postgres://{who}@/{self.one.name}?host={quote(str(self.visible))}"

    def install(self, folder: Path, data: Path) -> None:
        """Without a way in but the password: every app runs as piku's user."""
        files.write(folder / "password", self.administrator.password, mode=0o600)
        subprocesses.run([
            self._program("initdb"), "--pgdata", str(data), "--username", self.user, "--pwfile",
            str(folder / "password"), "--auth", "scram-sha-256", "--encoding", "UTF8",
            "--locale", "C.UTF-8", "--data-checksums",
        ])  # fmt: skip
        text = files.read(data / "postgresql.conf") + (TEMPLATES / "postgres.conf").read_text()
        files.write(data / "postgresql.conf", text, mode=0o600, durable=True)
        files.write(data / "pg_hba.conf", "local all all scram-sha-256\n", durable=True)

    def _program(self, name: str) -> str:
        """The one of the version that the files are of, which its server knows; else the newest."""
        found = {p.parts[4]: str(p) for p in Path("/usr/lib/postgresql").glob(f"[0-9]*/bin/{name}")}
        version = files.read(self.cluster / "PG_VERSION").strip() or max(found, key=int, default="")
        if found and version not in found:
            hint = f"apt-get install postgresql-{version}, then upgrade as docs/databases.md says"
            raise PikuError(f"PostgreSQL {version}, which made the files, is gone", hint=hint)
        return found.get(version, name)

    def daemon(self) -> Daemon | None:
        if self.administrator.socket or not self.cluster.is_dir():
            return None
        argv = [self._program("postgres"), "-D", str(self.cluster), "-k", str(self.run)]
        # SIGINT ends it at once, SIGTERM not before every app has closed its connections.
        return Daemon(name=self.name, argv=argv, stop=signal.SIGINT, orphaned="INT")

    def forget_dead(self) -> None:
        """Remove the lock files of a server that lost its power. Their number may be another
        program's by now: PostgreSQL would take that for itself, and refuse to start."""
        pid = files.read(self.cluster / "postmaster.pid").partition("\n")[0].strip()
        if pid.isdecimal() and str(self.cluster) not in procfs.command(int(pid)):
            files.discard([self.cluster / "postmaster.pid", self.run / f"{self.socket_name}.lock"])

    def is_ready(self) -> bool:
        return subprocesses.succeeds([self._program("pg_isready"), "-q", "-h", str(self.visible)])

    def client(self, name: str, *words: str, by: User, at: str) -> Program:
        where = {"PGHOST": str(self.visible), "PGDATABASE": at}
        env = {**where, "PGUSER": by.name, "PGPASSWORD": by.password}
        return Program(argv=[self._program(name), *words], env=env)

    def load(self, file: Path, at: str) -> None:
        words = ("--no-owner", "--no-acl", "--exit-on-error", "--single-transaction", "-d", at)
        self.client("pg_restore", *words, str(file), by=self.one, at=at).run()


class MariaDB(Kind):
    name, title, package, user = "mariadb", "MariaDB", "mariadb-server", "root"
    programs, socket_name, loads_twice = ("mariadb",), "mysqld.sock", True
    asker, shell = ("mariadb", "--batch", "--skip-column-names"), ("mariadb",)
    dumper = ("mariadb-dump", "--single-transaction", "--routines", "--events", "--no-tablespaces")
    ending = "-- Dump completed"

    @property
    def url(self) -> str:
        who = f"{self.one.name}:{self.one.password}@localhost"
        return f"mysql://{who}/{self.one.name}?unix_socket={quote(str(self.socket))}"

    def install(self, folder: Path, data: Path) -> None:
        options = self.folder / "mariadb.cnf"
        files.write(options, (TEMPLATES / options.name).read_text(), mode=0o600)
        given = (f"--defaults-file={options}", f"--datadir={data}", f"--tmpdir={folder}")
        without = ("--skip-test-db", "--auth-root-authentication-method=normal")
        subprocesses.run(["mariadb-install-db", *given, *without])
        text = self.part("install", self.administrator.password)
        subprocesses.run(["mariadbd", *given, "--bootstrap"], stdin=text)

    def daemon(self) -> Daemon | None:
        if self.administrator.socket or not self.cluster.is_dir():
            return None
        own = [f"--datadir={self.cluster}", f"--socket={self.socket}", f"--pid-file={self.run}/pid"]
        options = f"--defaults-file={self.folder}/mariadb.cnf"
        return Daemon(name=self.name, argv=["mariadbd", options, *own])

    def is_ready(self) -> bool:
        socket = f"--socket={self.socket}"
        return subprocesses.succeeds(["mariadb-admin", "--no-defaults", socket, "ping"])

    def client(self, name: str, *words: str, by: User, at: str) -> Program:
        argv = [name, "--no-defaults", f"--socket={self.socket}", f"--user={by.name}", *words]
        return Program(argv=[*argv, *filter(None, [at])], env={"MYSQL_PWD": by.password})

    def load(self, file: Path, at: str) -> None:
        # Triggers and views belong to who restores them. Rows are on lines of their own.
        definers = "/^INSERT /!s/ DEFINER=`[^`]*`@`[^`]*`//"
        subprocesses.run(["sed", "-i", definers, str(file)])
        self.client("mariadb", by=self.one, at=at).run(f"source {file}\n")


class Sqlite(Kind):
    """A file in the app's data folder, which outlives releases. There is no server."""

    name, title, programs, package = "sqlite", "SQLite", ("sqlite3",), "sqlite3"
    asker, dumper, ending = ("-bail",), (".dump",), "COMMIT;"
    scratch = Path()

    @property
    def file(self) -> Path:
        return self.paths.root / "data" / self.one.name / "database.sqlite3"

    @property
    def url(self) -> str:
        return f"sqlite:///{quote(str(self.file))}"

    def is_ready(self) -> bool:
        return self.file.parent.is_dir()

    def prepare(self) -> None:
        self.file.parent.mkdir(parents=True, exist_ok=True)

    def drop(self) -> None:
        files.discard(self.file.with_name(f"{self.file.name}{end}") for end in ("", "-wal", "-shm"))

    def client(self, *words: str, by: User, at: str) -> Program:  # noqa: ARG002
        place = self.scratch if at == SCRATCH else self.file
        return Program(argv=["sqlite3", str(place), *words])

    def load(self, file: Path, at: str) -> None:
        self.scratch = file.with_name("scratch")
        self.client(*self.asker, by=self.one, at=at).run(f".read {file}\n")

    def part(self, part: str, password: str) -> str:
        return super().part(part, password).replace("@SCRATCH@", str(self.scratch))
