"""The records of the apps' databases, and the programs that serve them."""

import secrets
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from piku import files, records, subprocesses
from piku.errors import PikuError
from piku.paths import AppName, AppPaths, Paths

_WRONG = ("password authentication failed", "Access denied", "WRONGPASS")


@dataclass(frozen=True, kw_only=True)
class Database:
    """A database of an app. `kind` names its row, `name` the role and the database, `variable` the
    setting with its address; `number` counts how often its files were replaced."""

    kind: str
    name: str
    variable: str
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24))  # needs no quoting
    number: int = 1


@dataclass(frozen=True, kw_only=True)
class Databases:
    """The databases of one app, at most one of a kind."""

    databases: tuple[Database, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Administrator:
    """Who may make databases in a server. `socket` is "" for one that piku runs by itself, else the
    folder of its socket."""

    name: str
    password: str
    socket: str = ""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program, and its variables, which have the password."""

    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)

    def run(self, text: str = "") -> str:
        """Its output; raises PikuError with the line that says why it failed."""
        env = {**subprocesses.environment(), **self.env}
        try:
            return subprocesses.run(self.argv, env=env, stdin=text)
        except subprocesses.ProgramFailed as error:
            said = [error.message, *filter(None, map(str.strip, error.output.splitlines()))]
            line = next((one for one in said[1:] if "error" in one.lower()), said[-1])
            wrong = any(word in error.output for word in _WRONG)
            hint = "restore databases/KIND/administrator.json in piku's root from a backup"
            raise PikuError(line, hint=hint if wrong else "") from None

    def become(self) -> NoReturn:
        subprocesses.exec_program(self.argv, env={**subprocesses.environment(), **self.env})


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """How a server runs: the signal that stops it, and the one it gets when uWSGI is killed."""

    name: str
    argv: Sequence[str]
    stop: signal.Signals = signal.SIGTERM
    orphaned: str = "TERM"


def new(kind: str, app: AppPaths, variable: str) -> Database:
    """A record of a new database. Its name is no other's, also after the app was renamed; only a
    file of SQLite is called as the app, and needs no password."""
    if kind == "sqlite":
        return Database(kind=kind, name=app.name, variable=variable, password="")
    name = f"{app.name[:50]}-{secrets.token_hex(4)}"
    return Database(kind=kind, name=name, variable=variable)


def _places(app: AppPaths) -> tuple[Path, Path]:
    """Where the record is, and where it would be if the app was destroyed, or was not."""
    places = app.envs / "databases.json", app.root / "databases" / f"{app.name}.json"
    return places if app.repo.is_dir() else places[::-1]


def of(app: AppPaths) -> tuple[Database, ...]:
    """The databases of an app; raises PikuError when their record is damaged."""
    found = next(filter(None, (records.load(place, Databases) for place in _places(app))), None)
    # A file in the app's folder is called as the app is now.
    return tuple(
        one if one.password else replace(one, name=app.name)
        for one in (found.databases if found else ())
    )


def keep(app: AppPaths) -> None:
    """Keep the record of an app that is being destroyed: its databases stay, as its data does."""
    if databases := of(app):
        records.save(app.root / "databases" / f"{app.name}.json", Databases(databases=databases))


def put(app: AppPaths, kind: str, one: Database | None) -> None:
    """Put the database of this kind on record, or (None) off it."""
    others = tuple(other for other in of(app) if other.kind != kind)
    place, other_place = _places(app)
    if databases := (*others, *([one] if one else [])):
        records.save(place, Databases(databases=databases))
    files.discard([other_place, *([] if databases else [place])])


def everything(paths: Paths) -> tuple[list[Database], bool]:
    """The databases of all apps, also of those that are no more, and whether that are all: a record
    may be damaged."""
    kept = (AppName(path.stem) for path in (paths.root / "databases").glob("[!.]*.json"))
    found: list[Database] = []
    whole = True
    for name in sorted({*paths.app_names(), *kept}):
        try:
            found += of(paths.app(name))
        except PikuError:
            whole = False
    return found, whole
