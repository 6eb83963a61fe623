"""The command line: it parses, calls and prints, and is the one place where errors are shown."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

import click

from piku.errors import PikuError
from piku.output import Output
from piku.paths import Paths

# Which module has a command: only that one is loaded. The order is that of the help.
COMMANDS = {
    "apps": "apps", "deploy": "apps", "releases": "apps", "rollback": "apps", "destroy": "apps",
    "config": "config", "config:get": "config", "config:set": "config", "config:unset": "config",
    "config:live": "config",
    "ps": "processes", "ps:scale": "processes", "ps:stop": "processes", "restart": "processes", "stop": "processes",
    "logs": "logs", "run": "processes", "cron": "cron", "cron:run": "cron",
    "certs": "certs", "certs:add": "certs", "certs:remove": "certs", "certs:renew": "certs",
    "maintenance:on": "maintenance", "maintenance:off": "maintenance",
    "setup": "server", "setup:ssh": "server", "keys": "server", "keys:remove": "server", "up": "server",
    "update": "server", "help": "server",
    "git-receive-pack": "internal", "git-upload-pack": "internal", "git-hook": "internal", "scp": "internal",
    "upkeep": "internal",
}  # fmt: skip


class _Commands(click.Group):
    """The table of commands, each loaded when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"piku.cli.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace(":", "_").replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            close = get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean '{close[0]}'?" if close else "see the list with: piku help"
            raise PikuError(f"there is no command {args[0][:60]!r}", hint=hint, code=2)
        return super().resolve_command(ctx, args)


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 100})
@click.version_option(package_name="piku", message="piku %(version)s", version=__import__("piku").__version__)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Piku: git push deploys on one server."""
    ctx.obj = Paths.from_environment(os.environ)


def execute(arguments: Sequence[str]) -> int:
    """Run a command; returns its exit code (design, "Rules that keep it so")."""
    talk = Output(sys.stderr)
    words = list(arguments)
    # sshd runs sftp's server for a modern scp, whatever path it knows it by.
    if words and words[0].endswith(("sftp-server", "internal-sftp")):
        words = ["scp", "--sftp"]
    try:
        result = cli.main(args=words or ["help"], prog_name="piku", standalone_mode=False)
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
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
            return _fault(talk, words)
        where = f" ({error.filename})" if error.filename else ""
        talk.error(
            PikuError(
                f"nothing can be written here: {error.strerror}{where}",
                hint="make room on this server's disk, then try again; what was live is still what counts",
            )
        )
        return 1
    except PermissionError as error:
        talk.error(
            PikuError(
                f"{error.filename} cannot be used: permission denied",
                hint="does it belong to another user? everything below the piku root belongs to the one who runs piku",
            )
        )
        return 1
    except Exception:  # noqa: BLE001 (the last line of defence: a fault of ours, told as one)
        return _fault(talk, words)


def _lowered(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".").replace("\n", " ")


def _fault(talk: Output, words: Sequence[str]) -> int:
    import traceback

    story = traceback.format_exc()
    place = Paths.from_environment(os.environ).uwsgi / "fault.log"
    try:
        with place.open("a") as log:
            log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} piku {' '.join(words[:1])}\n{story}")
        where = f"what happened is in {place}: please report it"
    except OSError:
        where = f"please report it: {story.splitlines()[-1]}"
    talk.error(PikuError("piku itself failed here", hint=where))
    return 3
