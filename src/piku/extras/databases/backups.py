"""The databases of an app in its backup, through the hooks `dump` and `load`."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence

from piku.cli.common import self_argv
from piku.errors import PikuError
from piku.extras.databases import base, commands, server
from piku.paths import AppPaths, Paths

Loading = contextlib.AbstractContextManager[tuple[Sequence[str], Mapping[str, str]]]
_NOTHING = ("true",)  # a file of SQLite is in the backup with the app's data


def dump(paths: Paths, app: AppPaths) -> Iterator[tuple[str, Sequence[str]]]:
    """What each database is called in a backup, by its kind and setting, and what writes it."""
    for one in base.of(app):
        server.start(server.bound(paths, one))
        argv = (*self_argv(), f"{one.kind}:dump", app.name) if one.password else _NOTHING
        yield f"{one.kind}.{one.variable.lower().replace('_', '-')}", argv


def load(paths: Paths, app: AppPaths, name: str) -> Loading | None:
    """Make an empty database for one of these names; what loads it, and the settings with its
    address. It is removed again when what follows fails."""
    kind, _, variable = name.partition(".")
    return _load(paths, app, kind, variable) if kind in server.KINDS and variable else None


@contextlib.contextmanager
def _load(
    paths: Paths, app: AppPaths, kind: str, variable: str
) -> Iterator[tuple[Sequence[str], Mapping[str, str]]]:
    if any(one.kind == kind for one in base.of(app)):
        raise PikuError(
            f"{app.name} has a {server.KINDS[kind].title} database, which would be lost",
            hint=f"remove it first: piku {kind}:destroy {app.name}",
        )
    made = server.bound(paths, base.new(kind, app, variable.upper().replace("-", "_")))
    commands.establish(app, made)
    argv = (*self_argv(), f"{kind}:restore", app.name) if made.one.password else _NOTHING
    try:
        yield argv, {made.one.variable: made.url}
    except BaseException:
        with contextlib.suppress(PikuError):  # the first one says why
            commands.remove(app, made)
        raise
