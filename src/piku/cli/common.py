"""What several commands share."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from piku import extra
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppPaths, Paths

F = TypeVar("F", bound=Callable[..., Any])
pass_paths = click.make_pass_decorator(Paths)
json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")


def app_argument(function: F) -> F:
    """The argument APP, an app that exists; commands get its paths."""
    return click.argument("app", metavar="APP", callback=_existing, shell_complete=_apps)(function)


def optional_app_argument(function: F) -> F:
    """The same for a command that is about all apps when none is named; it gets None then."""
    return click.argument(
        "app", metavar="[APP]", required=False, callback=_existing, shell_complete=_apps
    )(function)


def _apps(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    paths: Paths = ctx.obj
    return [name for name in paths.app_names() if name.startswith(incomplete)]


def _existing(
    ctx: click.Context, _parameter: click.Parameter, value: str | None
) -> AppPaths | None:
    paths: Paths = ctx.obj
    return None if value is None else paths.existing(value)


def release_number(app: AppPaths, text: str) -> int:
    """The number that "v12" or "12" names."""
    found = re.fullmatch(r"v?([0-9]{1,9})", text)
    if found is None:
        hint = f"see them with: piku releases {app.name}"
        raise PikuError(f"{text[:60]!r} is not a release", hint=hint, code=2)
    return int(found[1])


def caller() -> str:
    """Who gave this command: the key's name and fingerprint, or the local user."""
    name, fingerprint = os.environ.get("NAME"), os.environ.get("FINGERPRINT")
    if name and fingerprint:
        return f"{name} ({fingerprint})"
    return pwd.getpwuid(os.getuid()).pw_name


def own_command() -> list[str]:
    """How to call this very piku again, from sshd or a hook."""
    program = Path(sys.argv[0]).absolute()
    return [sys.executable, "-m", "piku"] if program.name == "__main__.py" else [str(program)]


def own_environment() -> dict[str, str]:
    """The variables that such a call needs: where its folders are, and which extras there are."""
    names = ("PIKU_ROOT", "HOME") if os.environ.get("PIKU_ROOT") else ()
    return {name: os.environ[name] for name in (*names, extra.SELECTION) if name in os.environ}


def self_argv() -> list[str]:
    """The same as one command, which finds its folders whatever variables there are."""
    variables = [f"{name}={value}" for name, value in own_environment().items()]
    return [*(["env", *variables] if variables else []), *own_command()]


@contextlib.contextmanager
def changing(paths: Paths, app: AppPaths, what: str) -> Iterator[Output]:
    """Hold the app's lock for a command that changes it; gives its output."""
    from piku.deploy import deploy

    output = progress(app)
    with deploy.locked(paths, app, f"{what} by {caller()}", output):
        yield output


def progress(app: AppPaths) -> Output:
    """The output of a command that changes an app: shown, and kept with its logs."""
    with contextlib.suppress(FileNotFoundError):
        if app.build_log.stat().st_size > 2**20:
            app.build_log.replace(f"{app.build_log}.old")
    return Output(sys.stdout, log=app.build_log)
