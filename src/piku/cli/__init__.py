"""The command line: it parses, calls and prints, and is the one place where errors are shown."""

from __future__ import annotations

import copy
import errno
import os
import sys
import time
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import click

from piku import client, extra
from piku.cli import privileges
from piku.client import app_argument
from piku.errors import PikuError
from piku.output import Output
from piku.paths import Paths

# The core's commands as "module:function"; a module is loaded when its command is used. In the order of the help.
COMMANDS = {
    "apps": "piku.cli.apps:apps",
    "deploy": "piku.cli.apps:deploy",
    "releases": "piku.cli.apps:releases",
    "rollback": "piku.cli.apps:rollback",
    "destroy": "piku.cli.apps:destroy",
    "config": "piku.cli.config:config",
    "config:get": "piku.cli.config:config_get",
    "config:set": "piku.cli.config:config_set",
    "config:unset": "piku.cli.config:config_unset",
    "config:live": "piku.cli.config:config_live",
    "ps": "piku.cli.processes:ps",
    "ps:scale": "piku.cli.processes:ps_scale",
    "restart": "piku.cli.processes:restart",
    "stop": "piku.cli.processes:stop",
    "logs": "piku.cli.logs:logs",
    "run": "piku.cli.processes:run",
    "certs:renew": "piku.cli.certs:certs_renew",
    "setup": "piku.cli.server:setup",
    "setup:ssh": "piku.cli.keys:setup_ssh",
    "keys": "piku.cli.keys:list_keys",
    "keys:remove": "piku.cli.keys:keys_remove",
    "up": "piku.cli.server:up",
    "help": "piku.cli.server:help_",
    "names": "piku.cli.completion_data:names",
    "git-receive-pack": "piku.cli.internal:git_receive_pack",
    "git-upload-pack": "piku.cli.internal:git_upload_pack",
    "git-hook": "piku.cli.internal:git_hook",
    "scp": "piku.cli.internal:scp",
    "upkeep": "piku.cli.internal:upkeep",
    "serve:nginx": "piku.cli.server:serve_nginx",
    "serve:emperor": "piku.cli.server:serve_emperor",
    **client.COMMANDS,
}
EXTENSIBLE = ("deploy", "run")  # commands to which extras add flags


# What those who know Heroku or Dokku try first.
ELSEWHERE = {
    "apps:list": "it is called 'apps'", "apps:create": "there is no need: the first push makes an app",
    "create": "there is no need: the first push makes an app",
    "apps:destroy": "it is called 'destroy'", "apps:report": "it is called 'ps', and 'status' for all",
    "config:add": "it is called 'config:set'", "config:show": "it is called 'config'",
    "config:remove": "it is called 'config:unset'", "ps:restart": "it is called 'restart'",
    "ps:report": "it is called 'ps'", "domains": "names are a setting: config:set APP NGINX_SERVER_NAME=…",
    "domains:add": "names are a setting: config:set APP NGINX_SERVER_NAME=…",
    "letsencrypt:enable": "certificates come by themselves: see 'certs'",
    "releases:rollback": "it is called 'rollback'", "ps:exec": "it is called 'run'", "enter": "it is called 'run'",
}  # fmt: skip


class _Commands(click.Group):
    """The core's commands, those of extras and those of plugins; each is loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        own = (*COMMANDS, *extra.commands())
        return [
            *(name for name in own if name not in client.COMMANDS or not _by_sshd()),
            *sorted(_plugins(ctx)),
        ]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name) or extra.commands().get(cmd_name)
        if target is None:
            return _plugins(ctx).get(cmd_name)
        command: click.Command = extra.load(target)
        return _with_flags(command) if cmd_name in EXTENSIBLE else command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            meant = ELSEWHERE.get(args[0]) or (f"did you mean '{close[0]}'?" if close else "")
            hint = meant or "see the list with: piku help"
            raise PikuError(f"there is no command {args[0][:60]!r}", hint=hint, code=2)
        name, command, words = super().resolve_command(ctx, args)
        if name in client.COMMANDS:
            if _by_sshd():
                raise PikuError(
                    f"'piku {name}' is a command for a laptop, not for the server", code=2
                )
            return name, command, words
        if ctx.params.get("remote") is not None:
            raise PikuError("-r stands first, and on a client: this is the server", code=2)
        if command and (app := ctx.params.get("app")):
            words = app_argument.with_app(command, words, app)
        return name, command, words


def _with_flags(command: click.Command) -> click.Command:
    """The command with the flags that extras add; one that is given is done in place of the command."""
    targets = extra.flags(command.name or "")
    if not targets:
        return command
    instead = {flag.lstrip("-").replace("-", "_"): target for flag, target in targets.items()}

    def call(**arguments: Any) -> Any:
        chosen = [target for name, target in instead.items() if arguments.pop(name)]
        function: Any = extra.load(chosen[0]) if chosen else command.callback
        return function(**arguments)

    flags = [
        click.Option([flag], is_flag=True, help=extra.load(target).__doc__)
        for flag, target in targets.items()
    ]
    extended = copy.copy(command)
    extended.params, extended.callback = [*flags, *command.params], call
    return extended


def _by_sshd() -> bool:
    """Whether a client calls: sshd passes on what it asked for, which is nothing at all in a mere login."""
    return "SSH_ORIGINAL_COMMAND" in os.environ or sys.argv[1:] == [""]


def _plugins(ctx: click.Context) -> dict[str, click.Command]:
    """The commands of plugins. They are loaded once, when a command is not in the table or all are listed;
    without a server, as in the generated reference, there are none."""
    paths = ctx.find_object(Paths)
    if paths is None:
        return {}
    found: dict[str, click.Command] | None = ctx.meta.get("piku.plugins")
    if found is None:
        from piku import plugins

        found = plugins.commands(paths, (*COMMANDS, *extra.commands()))
        ctx.meta["piku.plugins"] = found
    return found


@click.command(
    cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 100}
)
@click.version_option(
    package_name="piku", message="piku %(version)s", version=__import__("piku").__version__
)
@click.option("-a", "--app", metavar="APP", help="The app, for a command that takes one.")
@click.option(
    "-r",
    "--remote",
    metavar="REMOTE",
    help="On a laptop: the server, as a git remote or user@host:app.",
)
def cli(app: str | None, remote: str | None) -> None:
    """Piku: git push deploys on one server."""
    del app, remote  # where a command is found, they are read


def execute(arguments: Sequence[str]) -> int:
    """Run a command; returns its exit code (design, "Rules that keep it so")."""
    talk = Output(sys.stderr)
    words = list(arguments)
    # sshd runs sftp's server for a modern scp, whatever path it knows it by.
    if words and words[0].endswith(("sftp-server", "internal-sftp")):
        words = ["scp", "--sftp"]
    try:
        if not words or words[0] not in client.COMMANDS:
            privileges.settle(words, os.environ)
        paths = Paths.from_environment(os.environ)
        result = cli.main(
            args=words or ["help"], prog_name="piku", standalone_mode=False, obj=paths
        )
        return result if isinstance(result, int) else 0
    except PikuError as error:
        if not error.shown:
            talk.error(error)
        return error.code
    except click.ClickException as error:
        usage = getattr(error, "ctx", None)
        command = usage.command_path if usage is not None else "piku"
        talk.error(PikuError(_lowered(error.format_message()), hint=f"see: {command} --help"))
        return 2
    except (click.exceptions.Abort, KeyboardInterrupt):
        return 130
    except BrokenPipeError:
        talk._gone = True
        return 0
    except OSError as error:
        told = _of_the_system(error)
        if told is None:
            return fault(talk, words)
        talk.error(told)
        return told.code
    except Exception:  # noqa: BLE001 (the last line of defence: a fault of ours, told as one)
        return fault(talk, words)


def _of_the_system(error: OSError) -> PikuError | None:
    """What the system would not let us do, where that is for the person to mend."""
    if isinstance(error, PermissionError):
        return PikuError(
            f"{error.filename} cannot be used: permission denied",
            hint="does it belong to another user? everything below the piku root belongs to the one who runs piku",
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
        where = f" ({error.filename})" if error.filename else ""
        return PikuError(
            f"nothing can be written here: {error.strerror}{where}",
            hint="make room on this server's disk, then try again; what was live is still what counts",
        )
    return None


def _lowered(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".").replace("\n", " ")


def fault(talk: Output, words: Sequence[str]) -> int:
    """Tell of an error that is piku's own, and keep what there is to know of it; returns the exit code."""
    import traceback

    from piku import plugins

    paths, error = Paths.from_environment(os.environ), sys.exception()
    if error is not None and (failure := plugins.failure(paths, error)):
        talk.error(failure)
        return failure.code
    story = traceback.format_exc()
    place = paths.uwsgi / "fault.log"
    try:
        with place.open("a") as log:
            log.write(
                f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} piku {' '.join(words[:1])}\n{story}"
            )
        where = f"what happened is in {place}: please report it"
    except OSError:
        where = f"please report it: {story.splitlines()[-1]}"
    talk.error(PikuError("piku itself failed here", hint=where))
    return 3
