"""What several commands share."""

import contextlib
import copy
import os
import pwd
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from piku import extra
from piku.errors import PikuError
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths

pass_paths = click.make_pass_decorator(Paths)
json_option = click.option("--json", "as_json", is_flag=True, help="As JSON, for scripts.")


def _apps(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    paths: Paths = ctx.obj
    return [name for name in paths.app_names() if name.startswith(incomplete)]


def _existing(
    ctx: click.Context, _parameter: click.Parameter, value: str | None
) -> AppPaths | None:
    paths: Paths = ctx.obj
    return None if value is None else paths.existing(value)


def _named(ctx: click.Context, _parameter: click.Parameter, value: str) -> AppPaths:
    paths: Paths = ctx.obj
    return paths.app(AppName.parse(value))


# The argument APP, an app that exists: commands get its paths, or None where it is optional.
app_argument = click.argument("app", metavar="APP", callback=_existing, shell_complete=_apps)
# The same of an app that the command may make.
new_app_argument = click.argument("app", metavar="APP", callback=_named, shell_complete=_apps)
optional_app_argument = click.argument(
    "app", metavar="[APP]", required=False, callback=_existing, shell_complete=_apps
)


def make(paths: Paths, app: AppPaths, *, asked: bool = False) -> None:
    """Make an app that was never pushed, unless it is there; raises PikuError when its name is
    nearly another's, and it was not `asked` for by itself."""
    from piku.ssh import git

    if app.repo.is_dir():
        return
    if not asked and (close := paths.similar(app.name)):
        hint = f"did you mean {close!r}? To make it: piku apps:create {app.name}"
        raise PikuError(f"there is no app called {app.name!r}", hint=hint)
    git.create_repository(app, own_command(), own_environment())


def with_app(command: click.Command, words: Sequence[str], app: str) -> list[str]:
    """A command's words with the app of `piku --app APP` where it takes one, unless they name one.

    The first argument is an app when it can be nothing else, or is that very app. Which apps exist
    does not matter: the same words mean the same every day.
    """
    taken = [one for one in command.params if isinstance(one, click.Argument)]
    if not taken or taken[0].name != "app":
        return list(words)
    given = positional(command, words)
    if given and _is_app(given, taken[1:], app):
        return list(words)
    # Where options may follow arguments the app may come first; else right before the arguments.
    free = command.context_settings.get("allow_interspersed_args", True)
    at = 0 if free else len(words) - len(given)
    return [*words[:at], app, *words[at:]]


def positional(command: click.Command, words: Sequence[str]) -> list[str]:
    """The words that are neither options nor their values."""
    options = copy.copy(command)
    options.params = [one for one in command.params if isinstance(one, click.Option)]
    with click.Context(options, **command.context_settings) as context:
        return options.make_parser(context).parse_args(list(words))[1]


def _is_app(given: Sequence[str], others: Sequence[click.Argument], app: str) -> bool:
    """Whether the first argument is an app's name, where the command takes `others` besides."""
    try:
        AppName.parse(given[0])
    except PikuError:
        return False
    if len(given) > sum(one.nargs for one in others) and all(one.nargs > 0 for one in others):
        return True
    if given[0] == app:
        return len(given) > sum(one.required for one in others)
    # No app's name is a KEY=VALUE; where that is missing, the one word was meant as it.
    is_pair = bool(others) and "=" in (others[0].metavar or "")
    return is_pair and len(given) > sum(one.required for one in others)


def with_flag(
    command: click.Command, flag: click.Option, call: Callable[..., Any]
) -> click.Command:
    """The command with one more flag; when that is given, `call` takes its place, with its value
    first."""

    def either(**arguments: Any) -> Any:
        value = arguments.pop(flag.name or "")
        function: Any = command.callback if value in (None, False) else partial(call, value)
        return function(**arguments)

    extended = copy.copy(command)
    extended.params, extended.callback = [flag, *command.params], either
    return extended


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
    return os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name


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
