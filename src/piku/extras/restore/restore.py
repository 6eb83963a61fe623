"""The way back: a backup becomes an app, checked like any deploy, or nothing of it stays."""

import contextlib
import io
import os
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from piku import dotenv, files, locks, subprocesses
from piku.app import settings
from piku.app.procfile import WITH_MEANING
from piku.cli.common import caller, changing, own_command, own_environment
from piku.deploy import deploy, releases, revision
from piku.errors import PikuError
from piku.extra import hooks
from piku.extras.restore import unpack
from piku.extras.restore.unpack import Head
from piku.operate import destroy
from piku.output import Output
from piku.paths import SEPARATOR, AppName, AppPaths, Paths
from piku.ssh import git
from piku.tls import certificate

Loading = AbstractContextManager[tuple[list[str], Mapping[str, str]]]


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """A backup that has arrived whole, in a folder that goes when the command ends."""

    head: Head
    folder: Path
    repository: Path  # bare
    dumps: Mapping[str, Path]


@contextlib.contextmanager
def unpacked(
    paths: Paths, source: io.BufferedReader, accept: Callable[[Head], None]
) -> Iterator[Unpacked]:
    """Unpack and check a backup; raises PikuError that says why it cannot be restored."""
    with files.temporary_folder(paths.root / "releases", f"{SEPARATOR}restore") as name:
        folder = Path(name)
        head = unpack.unpack(source, folder, accept)
        dumps = {path.name: unpack.joined(path) for path in sorted(folder.glob("dumps/*"))}
        yield Unpacked(head=head, folder=folder, repository=_repository(head, folder), dumps=dumps)


def _repository(head: Head, folder: Path) -> Path:
    """The repository that the backup's bundle makes; git checks every object of it."""
    app = AppPaths(root=folder, name=AppName.parse(head.app))
    app.repo.parent.mkdir()
    git.create_repository(app, own_command(), own_environment())
    run = ["git", "-C", str(app.repo)]
    for name in ("shallow", "lfs"):
        if (kept := folder / "repository" / name).exists():
            kept.rename(app.repo / name)
    subprocesses.run([*run, "symbolic-ref", "HEAD", f"refs/heads/{head.branch}"])
    if (folder / "repository" / "bundle").is_dir():
        bundle = unpack.joined(folder / "repository" / "bundle")
        fetch = ["fetch", "--quiet", "--no-write-fetch-head", "--update-shallow"]
        subprocesses.run([*run, *fetch, str(bundle), "+refs/*:refs/*"])
        files.remove(bundle)
    if head.commit and not subprocesses.succeeds([*run, "cat-file", "-e", head.commit]):
        raise unpack.damaged()
    return app.repo


def restore(
    paths: Paths, source: io.BufferedReader, wanted: str | None, output: Output
) -> AppPaths:
    """Restore a backup as an app that does not exist yet; raises PikuError, and then nothing of it
    is left."""
    deploy.require_platform(paths)

    def accept(head: Head) -> None:
        name = AppName.parse(wanted or head.app)
        _refuse_taken(paths.app(name))
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(head.created))
        output.step(f"Restoring {head.app} of {made} as {name}")

    with unpacked(paths, source, accept) as found:
        app = paths.app(AppName.parse(wanted or found.head.app))
        loadings = [(path, _loading(paths, app, name)) for name, path in found.dumps.items()]
        with ExitStack() as stack:
            with locks.lock(app.lock, "restoring the app"):
                _refuse_taken(app)  # it may have been pushed while the file came
                stack.enter_context(_whole_or_nothing(paths, app, output))
                own = _place(app, found)
                releases.write_settings(app, own)
                found.repository.rename(app.repo)
                git.create_repository(app, own_command(), own_environment())
                if app.name != found.head.app:
                    _without_places(paths, app, found.head, own, output)
            for path, loading in loadings:
                argv, more = stack.enter_context(loading)
                output.step(f"Loading {path.parent.name}")
                _load(argv, path)
                own = _addressed(own, more)
            releases.write_settings(app, own)
            if found.head.commit:
                _deploy(paths, app, found.head)
    return app


def _addressed(own: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """The settings with the new addresses of databases, also where a second one had the old."""
    new = {own[name]: address for name, address in more.items() if own.get(name)}
    return {name: new.get(value, value) for name, value in own.items()} | dict(more)


def _refuse_taken(app: AppPaths) -> None:
    if app.repo.is_dir():
        hint = "give it another name: restore FILE --as NAME"
        raise PikuError(f"there is already an app called {app.name!r}", hint=hint)


def _loading(paths: Paths, app: AppPaths, name: str) -> Loading:
    """What loads a dump; raises PikuError when this server has nothing that does."""
    found = (hook(paths, app, name) for hook in hooks("load"))
    loading: Loading | None = next((one for one in found if one is not None), None)
    if loading is None:
        raise PikuError(f"nothing on this server can load the database {name!r} of the backup")
    return loading


def _load(argv: list[str], path: Path) -> None:
    with path.open("rb") as file:
        done = subprocess.run(
            argv, stdin=file, capture_output=True, check=False, env=subprocesses.environment()
        )
    if done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise subprocesses.ProgramFailed(argv, done.returncode, said)


@contextlib.contextmanager
def _whole_or_nothing(paths: Paths, app: AppPaths, output: Output) -> Iterator[None]:
    """Leave nothing of an app that could not be restored; what a destroyed one has left stays."""
    aside = app.data.with_name(f"{app.name}{SEPARATOR}{time.strftime('%Y%m%d-%H%M%S')}")
    if app.data.is_dir() and any(app.data.iterdir()):
        app.data.rename(aside)
        output.detail(f"What was in {app.data} is kept: {aside}")
    new = [app.data, *([] if app.cache.exists() else [app.cache])]
    try:
        yield
    except BaseException as first:
        try:
            with locks.lock(app.lock, "removing what was restored"), open(os.devnull, "w") as null:
                destroy.destroy(paths, app, Output(null))
        except PikuError as second:
            output.error(second.within(f"not all of {app.name} could be removed: ", ""))
            raise first from None
        files.discard(new, output.warn)
        if aside.exists():
            aside.rename(app.data)
        output.warn(f"{app.name} was not restored, and nothing of it is left")
        raise


def _place(app: AppPaths, found: Unpacked) -> dict[str, str]:
    """Put everything but the repository in its place; returns the app's settings."""
    folder = found.folder
    is_copy = app.name != found.head.app
    app.data.parent.mkdir(parents=True, exist_ok=True)
    if (folder / "data").is_dir():
        files.remove(app.data)  # it is empty
        shutil.move(folder / "data", app.data)  # which may be on another disk
    (folder / "settings" / "release.json").unlink(missing_ok=True)
    for kept in (folder / "settings").glob("*"):
        files.write(app.envs / kept.name, files.read(kept), mode=0o600, durable=True)
    for kind in () if is_copy else (certificate.OWN, certificate.ACME):
        kept, place = folder / "certificates" / f"{kind}.pem", certificate.place(app, kind)
        if kept.exists() and not place.exists():
            files.write(place, files.read(kept), mode=0o600, durable=True)
    there = re.compile(rf"{re.escape(found.head.data)}(?![\w.-])")
    own = dotenv.load(app.settings).items()
    return {key: there.sub(lambda _: str(app.data), value) for key, value in own}


def _without_places(
    paths: Paths, app: AppPaths, head: Head, own: dict[str, str], output: Output
) -> None:
    """Take from a copy what the original still has, be it here or elsewhere: its host names, and a
    port of its own. Then a single process can answer requests."""
    gone = (settings.REDIRECT_FROM.name, settings.PORT.name)
    for name in gone:
        own.pop(name, None)
    own[settings.SERVER_NAME.name] = ""
    if head.commit:  # the repository may have them, too
        values = revision.read(paths, app, head.commit, own, checkout="").values
        own |= {name: "" for name in gone if name in values}
    counts = releases.counts(app)
    for kind, count in counts.items():
        if kind in WITH_MEANING and count > 1:
            counts[kind] = 1
            later = f"piku ps:scale {app.name} {kind}={count}"
            output.detail(f"{kind}=1 until it has a host name, then: {later}")
    releases.write_counts(app, counts)


def _deploy(paths: Paths, app: AppPaths, head: Head) -> None:
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(head.created))
    with changing(paths, app, "a restore") as output:
        request = deploy.Request(
            kind="deploy", description=f"restored v{head.release} of {head.app}, {made}",
            commit=head.commit, by=caller(), own=dotenv.load(app.settings),
        )  # fmt: skip
        deploy.deploy(paths, app, request, output)


# --- looking without restoring -------------------------------------------------------------------


def report(found: Unpacked) -> Iterator[str]:
    """What is in a backup; raises PikuError for a database in it that is damaged."""
    head = found.head
    made = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(head.created))
    yield f"{head.app}, made {made} by piku {head.piku}: whole"
    yield f"release v{head.release}, {head.commit[:8]}" if head.commit else "never deployed"
    names = dotenv.parse(files.read(found.folder / "settings" / "ENV"), "ENV")
    yield f"settings: {', '.join(sorted(names)) or 'none'}"
    every = sorted((found.folder / "data").rglob("*"))
    places = [place for place in every if place.is_file() and not place.is_symlink()]
    yield f"{len(places)} files in data, {sum(p.stat().st_size for p in places) / 1e6:.1f} MB"
    for place in places:
        with place.open("rb") as file:
            if file.read(16) == b"SQLite format 3\0":
                yield f"{place.relative_to(found.folder)}: SQLite, {_examined(place)} tables, sound"
    for name, path in found.dumps.items():
        yield f"database {name}, {path.stat().st_size / 1e6:.1f} MB"


def _examined(place: Path) -> int:
    """How many tables and indexes a database has."""
    try:
        with contextlib.closing(sqlite3.connect(place)) as database:
            [said] = database.execute("PRAGMA integrity_check(1)").fetchone()
            tables: int = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    except sqlite3.Error as error:
        said = str(error)
    if said != "ok":
        raise PikuError(f"the database {place.name} in the backup is damaged: {said}")
    return tables
