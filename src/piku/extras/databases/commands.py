"""The commands of each kind of database; those of a new row come by themselves."""

import contextlib
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from piku import dotenv, files, locks
from piku.app import settings
from piku.cli.common import caller, changing, make, new_app_argument, pass_paths
from piku.deploy import lifecycle, live_sites
from piku.errors import PikuError
from piku.extras.databases import base, server
from piku.extras.databases.kind import Kind
from piku.output import Output, table
from piku.paths import AppName, AppPaths, Paths

_force = click.option("--force", is_flag=True, help="Do not ask, and do not refuse.")
_variable = click.option("--as", "variable", metavar="KEY", help="Which setting gets the address.")
_OPTIONS: dict[str, Sequence[Callable[[Any], Any]]] = {
    "create": (_variable,),
    "link": (click.argument("owner", required=False), _variable),
    "restore": (_force,),
    "destroy": (_force,),
}


def __getattr__(name: str) -> click.Command:
    """`postgres_create` and so on: a function below, as the command of a kind."""
    kind, _, verb = name.partition("_")
    if kind not in server.KINDS or (call := globals().get(verb)) is None:
        raise AttributeError(name)
    given: Any = pass_paths(partial(call, server.KINDS[kind]))
    for parameter in (*reversed(_OPTIONS.get(verb, ())), new_app_argument):
        given = parameter(given)
    text = str(call.__doc__).replace("KIND", server.KINDS[kind].title)
    return click.command(f"{kind}:{verb}", help=text)(given)


def _own(kind: type[Kind], paths: Paths, app: AppPaths) -> Kind:
    """The database of an app, whose server answers; the app may have been destroyed."""
    found = next((one for one in base.of(app) if one.kind == kind.name), None)
    if found is None:
        paths.existing(app.name)
        hint = f"make it: piku {kind.name}:create {app.name}"
        raise PikuError(f"{app.name} has no {kind.title} database", hint=hint)
    own = kind(paths, found)
    server.start(own)
    return own


def _lock(paths: Paths, what: str) -> contextlib.AbstractContextManager[bool]:
    """One command at a time makes, replaces or removes databases."""
    (paths.root / "databases").mkdir(mode=0o700, exist_ok=True)
    waiting = Output(sys.stderr).step
    return locks.lock(
        paths.root / "databases" / "lock", what, waiting=lambda who: waiting(f"Waiting for {who}")
    )


def _set(paths: Paths, app: AppPaths, variable: str, value: str | None) -> None:
    """Give an app an address, with a new release if it runs, or take it away."""
    change = {variable: value}
    with changing(paths, app, "config:set") as output:
        output.hide({variable: value or ""})
        lifecycle.change_settings(paths, app, change, caller(), output, restart=bool(value))


def create(kind: type[Kind], paths: Paths, app: AppPaths, variable: str | None) -> None:
    """Create a KIND database for APP, also before its first push."""
    variable = variable or kind.variable
    settings.check_all({variable: ""})
    make(paths, app)
    with _lock(paths, f"{kind.name}:create"):
        found = next((one for one in base.of(app) if one.kind == kind.name), None)
        made = kind(paths, found or base.new(kind.name, app, variable))
        own = dotenv.load(app.settings)
        if found and made.url in own.values():
            hint = f"see it with: piku {kind.name}:info {app.name}"
            raise PikuError(f"{app.name} has a {kind.title} database already", hint=hint)
        if not found and variable in own:
            hint = f"unset it, or give this one another name: --as {kind.name.upper()}_URL"
            raise PikuError(f"{app.name} has a setting {variable} already", hint=hint)
        establish(app, made)
    Output(sys.stdout).step(f"{app.name} has a {kind.title} database, its address in {variable}")
    _set(paths, app, variable, made.url)


def establish(app: AppPaths, made: Kind) -> None:
    """Put a database on record and make it. Of a new one that fails, nothing stays."""
    is_new = made.one not in base.of(app)
    base.put(app, made.name, made.one)
    try:
        server.start(made)
        made.ensure()
    except BaseException:
        if is_new:
            base.put(app, made.name, None)
            live_sites.update(made.paths)
        raise


def link(
    kind: type[Kind], paths: Paths, app: AppPaths, owner: str | None, variable: str | None
) -> None:
    """Give APP the address of OWNER's KIND database, or of its own again."""
    paths.existing(app.name)
    own = _own(kind, paths, paths.app(AppName.parse(owner)) if owner else app)
    own.ensure()
    _set(paths, app, variable or own.one.variable, own.url)


def connect(kind: type[Kind], paths: Paths, app: AppPaths) -> None:
    """Open APP's KIND database in its own client."""
    _own(kind, paths, app).connect().become()


def dump(kind: type[Kind], paths: Paths, app: AppPaths) -> None:
    """Write APP's KIND database to standard output, while the app runs."""
    if sys.stdout.isatty():
        hint = f"write: piku {kind.name}:dump {app.name} > FILE"
        raise PikuError("a dump is not for a terminal", hint=hint, code=2)
    _own(kind, paths, app).dump().become()


def restore(kind: type[Kind], paths: Paths, app: AppPaths, force: bool) -> None:
    """Replace APP's KIND database with a dump from standard input."""

    def check(here: set[str], there: set[str]) -> None:
        if (lost := sorted(here - there)) and not force:
            named = ", ".join(lost[:3]) + (f" and {len(lost) - 3} more" if lost[3:] else "")
            hint = f"nothing was changed; to lose that: {kind.name}:restore {app.name} --force"
            raise PikuError(f"the dump is of an older schema, without {named}", hint=hint)

    if sys.stdin.isatty():
        hint = f"write: piku {kind.name}:restore {app.name} < FILE"
        raise PikuError("a dump comes on standard input", hint=hint, code=2)
    _own(kind, paths, app)  # before anything is sent
    files.sweep(paths.root / "databases")
    with files.temporary_folder(paths.root / "databases", "restore") as folder:
        with (file := Path(folder) / "dump").open("wb") as dumped:
            shutil.copyfileobj(sys.stdin.buffer, dumped)
        if not file.stat().st_size:
            raise PikuError("there is no dump on standard input: nothing was changed")
        with _lock(paths, f"{kind.name}:restore"):
            own = _own(kind, paths, app)  # as it is now
            own.ensure()
            base.put(app, kind.name, own.restore(file, check))
            server.start(own)
    Output(sys.stdout).step(f"The {kind.title} database of {app.name} is restored")


def info(kind: type[Kind], paths: Paths, app: AppPaths) -> None:
    """Show APP's KIND database: server, size, and which apps use it."""
    own = _own(kind, paths, app)
    version, size = own.info()
    users = ", ".join(f"{user.name} ({variable})" for user, variable in _users(own))
    head = ("DATABASE", "VERSION", "SIZE", "USED BY")
    for line in table([head, (own.one.name, version, size, users or "no app")]):
        click.echo(line)


def _users(own: Kind) -> Iterator[tuple[AppPaths, str]]:
    """The apps whose settings have this address, and where."""
    for app in map(own.paths.app, own.paths.app_names()):
        with contextlib.suppress(PikuError):
            for name, value in dotenv.load(app.settings).items():
                if value == own.url:
                    yield app, name


def destroy(kind: type[Kind], paths: Paths, app: AppPaths, force: bool) -> None:
    """Remove APP's KIND database and everything in it."""
    own = _own(kind, paths, app)
    users = list(_users(own))
    if not force:
        names = ", ".join(user.name for user, _ in users) or "no app"
        question = f"This removes the {kind.title} database of {app.name}, which {names} uses"
        click.echo(f"{question}. Type the name of its app:", err=True)
        if sys.stdin.readline().strip() != app.name:
            hint = f"without a question: piku {kind.name}:destroy {app.name} --force"
            raise PikuError("that is not its name: nothing was removed", hint=hint)
    for user, variable in users:
        _set(paths, user, variable, None)
    with _lock(paths, f"{kind.name}:destroy"):
        remove(app, own)
    Output(sys.stdout).step(f"The {kind.title} database of {app.name} is gone")


def remove(app: AppPaths, own: Kind) -> None:
    """Drop a database and forget it; a server that no other needs stops."""
    own.drop()
    base.put(app, own.name, None)
    live_sites.update(own.paths)
