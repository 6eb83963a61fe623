"""What of an app is in its backup."""

import contextlib
import json
import os
import sqlite3
import stat
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

import piku
from piku import files, subprocesses
from piku.deploy import checkout, releases, revision
from piku.errors import PikuError
from piku.extra import hooks
from piku.extras.backup import archive
from piku.extras.backup.archive import Writer
from piku.extras.backup.settings import COMMAND
from piku.paths import SEPARATOR, AppPaths, Paths
from piku.tls import certificate

# What is kept with an app's settings, but for what is made anew on each server.
_OWN_FILES = ("ENV", "SCALING", "source.json", "deploy_key", "deploy_key.pub", "webhook.json")
_CERTIFICATES = (certificate.OWN, certificate.ACME)
_SQLITE, _BESIDE = b"SQLite format 3\0", ("-wal", "-shm", "-journal")
_TIMEOUT = 3600  # seconds for PIKU_BACKUP_COMMAND
_LOCKED = 60  # seconds for a program that keeps a database locked


def write(
    paths: Paths, app: AppPaths, out: IO[bytes], say: Callable[[str], None], *, data: bool
) -> None:
    """Write the backup of an app; raises PikuError when something of it cannot be read."""
    live = releases.live(app)
    release = releases.load_release(app, live.release) if live else None
    if release and data:
        _command(paths, app, release, say)
    writer = Writer(out)
    branch = subprocesses.run(["git", "-C", str(app.repo), "symbolic-ref", "--short", "HEAD"])
    about = {
        "format": archive.FORMAT, "app": app.name, "piku": piku.__version__,
        "created": time.time(), "data": str(app.data), "branch": branch.strip(),
        "release": release.number if release else 0, "commit": release.commit if release else "",
    }  # fmt: skip
    writer.content(archive.HEAD, json.dumps(about).encode())
    small = {f"settings/{name}": app.envs / name for name in _OWN_FILES}
    small |= {f"certificates/{kind}.pem": certificate.place(app, kind) for kind in _CERTIFICATES}
    if release:
        small["settings/release.json"] = app.release_record(release.number)
    for name, place in small.items():
        if place.is_file():
            writer.content(name, place.read_bytes())
    _repository(app, writer)
    if data:
        # Before the files that they name: an app writes a file, then the row about it.
        for hook in hooks("dump"):
            for name, argv in hook(paths, app):
                writer.output(f"dumps/{name}", argv)
        tree(app, writer, app.data, "data")
        if live and (left := checkout.untracked_files(app, live.checkout)):
            say(f"NOT in it: {len(left)} files beside the code, such as {left[0]} (PIKU_PERSIST)")
    if not app.repo.is_dir():
        raise PikuError(f"{app.name} was removed or renamed meanwhile")
    writer.end()


def _repository(app: AppPaths, writer: Writer) -> None:
    """All branches, tags and releases as git bundles them, while pushes go on."""
    git = ["git", "-C", str(app.repo)]
    if subprocesses.run([*git, "for-each-ref", "--count=1"]):
        writer.output("repository/bundle", [*git, "bundle", "create", "--quiet", "-", "--all"])
    if (app.repo / "shallow").exists():
        writer.content("repository/shallow", (app.repo / "shallow").read_bytes())
    tree(app, writer, app.repo / "lfs", "repository/lfs")


def _command(
    paths: Paths, app: AppPaths, release: releases.Release, say: Callable[[str], None]
) -> None:
    found = revision.of_release(paths, app, release)
    if not (command := COMMAND.read(found.values)):
        return
    argv = revision.confined(app, release, found, subprocesses.shell(command))
    variables = revision.process_variables(paths, app, release, found)
    try:
        subprocesses.stream(
            argv, cwd=app.releases / release.checkout, env=variables, sink=say, timeout=_TIMEOUT
        )
    except subprocesses.ProgramFailed as error:
        what = f"PIKU_BACKUP_COMMAND failed with exit code {error.status}: {command}"
        raise PikuError(what, hint="there is no backup: fix it, or unset it") from None


def tree(app: AppPaths, writer: Writer, top: Path, name: str) -> None:
    """The files, folders and links below a folder; sockets and the like are left out."""
    databases = set[Path]()
    try:
        for first in (True, False):  # databases, for the same reason
            for place in _below(top):
                if place in databases or (first and not _is_database(place)):
                    continue
                databases |= {place} if first else set()
                with contextlib.suppress(FileNotFoundError):  # the app has removed it meanwhile
                    _member(app, writer, place, str(Path(name, place.relative_to(top))))
    except PermissionError as error:
        hint = "everything in the data folder must be readable by the user that runs piku"
        what = f"{error.filename} cannot be read: permission denied"
        raise PikuError(what, hint=hint) from None


def _member(app: AppPaths, writer: Writer, place: Path, name: str) -> None:
    about = place.lstat()
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(about.st_mode), int(about.st_mtime)
    if stat.S_ISDIR(about.st_mode):
        info.type = tarfile.DIRTYPE
        writer.add(info)
    elif stat.S_ISLNK(about.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.readlink(place)
        writer.add(info)
    elif stat.S_ISREG(about.st_mode):
        _file(app, writer, place, info)


def _below(folder: Path) -> Iterator[Path]:
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    yield folder
    for place in (folder / name for name in names):
        if place.is_dir() and not place.is_symlink():
            yield from _below(place)
        elif not _is_beside_database(place):
            yield place


def _is_beside_database(place: Path) -> bool:
    """Whether it is a journal of SQLite's, whose content is in the copy of the database."""
    ending = next((end for end in _BESIDE if place.name.endswith(end)), "")
    return bool(ending) and _is_database(place.with_name(place.name.removesuffix(ending)))


def _is_database(place: Path) -> bool:
    """Whether it is a database of SQLite's."""
    with contextlib.suppress(FileNotFoundError):
        if place.is_file():
            with place.open("rb") as file:
                return file.read(16) == _SQLITE
    return False


def _file(app: AppPaths, writer: Writer, place: Path, info: tarfile.TarInfo) -> None:
    if not _is_database(place):
        with open(os.open(place, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            info.size = os.fstat(file.fileno()).st_size
            writer.add(info, file)
        return
    # A plain copy of a database that is being written to is damaged.
    with files.temporary_folder(app.releases.parent, f"{app.name}{SEPARATOR}backup") as folder:
        copy = Path(folder, "database")
        _copy_database(place, copy)
        with copy.open("rb") as file:
            info.size = copy.stat().st_size
            writer.add(info, file)


def _refuse_locked(status: int, _left: int, _all: int) -> None:
    """End a copy that waited for its time limit; SQLite itself would try again for ever."""
    if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise sqlite3.OperationalError("a program keeps it locked")


def _copy_database(place: Path, copy: Path) -> None:
    try:
        address = f"file:{quote(os.fsencode(place))}?mode=rw"
        source = sqlite3.connect(address, uri=True, timeout=_LOCKED)
        target = sqlite3.connect(copy)
        with contextlib.closing(source), contextlib.closing(target):
            # In one step: who writes meanwhile cannot make it begin again.
            source.backup(target, progress=_refuse_locked)
    except sqlite3.Error as error:
        hint = "there is no backup: repair the database, or move it away"
        raise PikuError(f"{place} cannot be copied: {error}", hint=hint) from None
