"""What a kind of database is: one of them, and its server. A row of the table says what differs."""

import contextlib
import re
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from piku import files, records, subprocesses
from piku.errors import PikuError
from piku.extras.databases.base import Administrator, Daemon, Database, Program
from piku.paths import TEMPLATES, Paths

SCRATCH = "@restore"  # no app has such a name
User = Database | Administrator
Check = Callable[[set[str], set[str]], None]


class Kind:
    """A database, most often with a server for all apps that has a role for each. The statements
    are in templates/NAME.sql."""

    name, title, variable, package, user = "", "", "DATABASE_URL", "", ""
    programs: Sequence[str] = ()  # one of them must be installed
    socket_name = ""
    home = ""  # the database in which others are made
    # Clients: for us, for people, and for dumps, with what the end of a whole one has.
    asker: Sequence[str] = ()
    shell: Sequence[str] = ()
    dumper: Sequence[str] = ()
    ending = ""
    loads_twice = False  # where a database cannot get another name

    def __init__(self, paths: Paths, one: Database) -> None:
        self.paths, self.one = paths, one
        self.folder = paths.root / "databases" / self.name
        self.run, self.cluster = self.folder / "run", self.folder / "cluster"
        self.record = self.folder / "administrator.json"

    @property
    def administrator(self) -> Administrator:
        """Who that is; made when there is none yet."""
        if not self.record.exists():
            made = Administrator(name=self.user, password=secrets.token_urlsafe(24))
            self.run.mkdir(mode=0o700, parents=True, exist_ok=True)
            records.save(self.record, made)
        return records.load(self.record, Administrator) or self.administrator

    @property
    def visible(self) -> Path:
        """The folder of the socket, which an app needs inside walls."""
        return Path(self.administrator.socket or self.run)

    @property
    def socket(self) -> Path:
        return self.visible / self.socket_name

    @property
    def url(self) -> str:
        raise NotImplementedError

    def prepare(self) -> None:
        """Make the server's files, complete or not at all, unless they are there."""
        if not self.administrator.socket and not self.cluster.is_dir():
            with files.temporary_folder(self.folder, "cluster") as folder:
                self.install(Path(folder), Path(folder) / "data")
                (Path(folder) / "data").rename(self.cluster)

    def install(self, folder: Path, data: Path) -> None:
        """Make them in `data`; `folder` is for others, and is removed."""

    def daemon(self) -> Daemon | None:
        """The server, if piku runs it and its files are there."""
        return None

    def is_ready(self) -> bool:
        """Whether the server answers, be it with a refusal."""
        raise NotImplementedError

    def client(self, name: str, *words: str, by: User, at: str) -> Program:
        """A client program for the database `at`."""
        raise NotImplementedError

    def load(self, file: Path, at: str) -> None:
        """Load a dump into the database `at`, which is empty, with the app's rights."""

    def part(self, part: str, password: str) -> str:
        """A part of the statements."""
        texts = re.split(r"(?m)^-- (\w+):\n", (TEMPLATES / f"{self.name}.sql").read_text())
        text = texts[texts.index(part) + 1].replace("@PASSWORD@", password)
        text = text.replace("@PATTERN@", self.one.name.replace("_", r"\_"))
        return text.replace("@NAME@", self.one.name)

    def sql(self, part: str, *, by: User | None = None, at: str = "") -> str:
        """Run a part of them, by default as the administrator."""
        by = by or (self.administrator if self.user else self.one)
        client = self.client(*self.asker, by=by, at=at or self.home)
        return client.run(self.part(part, self.one.password))

    def ensure(self) -> None:
        """Make role and database what the record says. May be repeated."""
        self.sql("ensure")

    def drop(self) -> None:
        self.sql("drop")

    def connect(self) -> Program:
        """For people at a terminal."""
        return self.client(*self.shell, by=self.one, at=self.one.name)

    def dump(self) -> Program:
        """What writes it to standard output."""
        return self.client(*self.dumper, by=self.one, at=self.one.name)

    def restore(self, file: Path, check: Check) -> Database:
        """Replace it in one step by a dump, a file of ours; returns its new record. Raises what
        `check` raises, which gets the columns that are there and those of the dump."""
        if self.ending not in subprocesses.run(["tail", "-c", "200", str(file)]):
            raise PikuError(f"the dump is cut off, or is none of {self.title}")
        self.sql("prepare")
        try:
            self.load(file, SCRATCH)
            here, there = (
                self.sql("columns", by=self.one, at=at) for at in (self.one.name, SCRATCH)
            )
            check(set(here.splitlines()), set(there.splitlines()))
            self.sql("replace")
            if self.loads_twice:
                self.load(file, self.one.name)
        except BaseException:
            with contextlib.suppress(PikuError):  # the first one says why
                self.sql("clean")
            raise
        self.sql("clean")
        return self.one

    def info(self) -> tuple[str, str]:
        """The version of the server, and the size."""
        version, size = self.sql("info", by=self.one, at=self.one.name).splitlines()
        return version, f"{int(size) / 2**20:.1f} MB"
