"""Finds the command, runs it, and reports its error."""

import json
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import NoReturn

import click

import piku
from piku import extra, files, plugins
from piku.cli import privileges
from piku.cli.commands import COMMANDS, EXTENSIBLE, LOOKS
from piku.cli.common import with_app
from piku.errors import PikuError, of_system
from piku.output import Output
from piku.paths import Paths

LAPTOP: Mapping[str, str] = extra.load("piku.client:COMMANDS")  # the client stands apart


class Commands(click.Group):
    """The core's commands, those of extras and those of plugins; each is loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        laptop = () if _is_over_ssh() else LAPTOP
        return [*dict.fromkeys((*COMMANDS, *extra.commands(), *_plugins(ctx), *laptop))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name) or LAPTOP.get(cmd_name)
        if target := target or extra.commands().get(cmd_name):
            command: click.Command = extra.load(target)
            for with_flags in extra.flags(cmd_name) if cmd_name in EXTENSIBLE else ():
                command = with_flags(command)
            return command
        return _plugins(ctx).get(cmd_name)

    def find(self, ctx: click.Context, name: str) -> click.Command:
        """The command of this name; raises PikuError with what may have been meant."""
        command = self.get_command(ctx, name)
        if command is None:
            from difflib import get_close_matches

            here = [known for known in self.list_commands(ctx) if known not in LAPTOP]
            close = get_close_matches(name, here, n=1)
            meant = [said[name] for said in extra.hooks("elsewhere") if name in said]
            meant += [f"did you mean '{one}'?" for one in close]
            hint = next(iter(meant), "see the list with: piku help")
            raise PikuError(f"there is no command {name[:60]!r}", hint=hint, code=2)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if ctx.resilient_parsing:  # a shell asks what could come next
            return super().resolve_command(ctx, args)
        name, app = args[0], ctx.params.get("app") or ""
        if name in LAPTOP:
            if _is_over_ssh():
                raise PikuError(f"'piku {name}' is a command for a laptop", code=2)
            return name, self.get_command(ctx, name), args[1:]
        if ctx.params.get("remote") is not None:
            raise PikuError("-r is for a laptop: this is the server", code=2)
        privileges.settle(args, app, os.environ)
        command = self.find(ctx, name)
        words = with_app(command, args[1:], app) if app else args[1:]
        role = os.environ.get("PIKU_ROLE") if _is_over_ssh() else None
        for record in extra.hooks("record", plugged=False) if role or name not in LOOKS else ():
            ctx.meta[__name__].enter_context(record(ctx, command, words))
        judges = extra.hooks("authorize", plugged=False) if role else ()
        if role and not [judge(ctx, command, words) for judge in judges]:
            raise PikuError(f"this server does not know the role {role!r} of your key")
        return name, command, words


def _is_over_ssh() -> bool:
    return "SSH_ORIGINAL_COMMAND" in os.environ or sys.argv[1:] == [""]


def _plugins(ctx: click.Context) -> dict[str, click.Command]:
    """The commands of plugins; without a server, as in the generated reference, there are none."""
    paths = ctx.find_object(Paths)
    return plugins.commands(paths) if paths else {}


@click.command(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "terminal_width": 100}
)
@click.version_option(piku.__version__, package_name="piku", message="piku %(version)s")
@click.option("-a", "--app", metavar="APP", help="The app, for a command that takes one.")
@click.option(
    "-r", "--remote", metavar="REMOTE",
    help="On a laptop: the server, as a git remote or user@host:app.",
)  # fmt: skip
def cli(app: str | None, remote: str | None) -> None:
    """Piku: git push deploys on one server."""
    del app, remote  # resolve_command reads them


@click.command()
@click.option("--plain", is_flag=True, help="Only the names, for scripts.")
@click.pass_obj
def apps(paths: Paths, plain: bool) -> None:
    """List the apps of this server; * marks those that are live and not stopped."""
    names = paths.app_names()
    if not names:
        click.echo("There is no app yet; make one from a repository's folder:", err=True)
        click.echo("  git remote add piku piku@SERVER:APP && git push piku main", err=True)
    for name in names:
        # To load what reads it as a record takes nearly as long as everything else.
        stopped = True
        with suppress(PikuError, ValueError, KeyError, TypeError):  # none, or a damaged one
            stopped = plain or json.loads(files.read(paths.app(name).live_record))["stopped"]
        mark = "" if plain else "  " if stopped else "* "
        click.echo(f"{mark}{name}")


@click.command("help")
@click.argument("command", required=False)
@click.pass_context
def help_(ctx: click.Context, command: str | None) -> None:
    """Show the commands, or how to use one."""
    parent = ctx.find_root()
    if command is None:
        click.echo(cli.get_help(parent))
        return
    found = cli.find(parent, command)
    with click.Context(found, info_name=command, parent=parent) as context:
        click.echo(found.get_help(context))


def complete() -> NoReturn:
    """Answer a shell that completes a command line, or print the script for it (click's own)."""
    cli.main(prog_name="piku", obj=Paths.from_environment(os.environ))


def execute(arguments: Sequence[str]) -> int:
    """Run a command, and report its error if there is one; returns the exit code.

    0 is fine, 1 the app or its settings, 2 usage, 3 a bug of ours, 130 interrupted. Raises
    BrokenPipeError when the reader of the output is gone.
    """
    words = list(arguments) or ["help"]
    # sshd passes on the server's path of the SFTP server for a modern scp.
    if words[0].endswith(("sftp-server", "internal-sftp")):
        words = ["scp", "--sftp"]
    paths = Paths.from_environment(os.environ)
    try:
        # click's own main() would turn a broken pipe into exit code 1.
        with ExitStack() as around, cli.make_context("piku", words, obj=paths) as context:
            context.meta[__name__] = around
            result = cli.invoke(context)
            raise click.exceptions.Exit(result if isinstance(result, int) else 0)
    except click.exceptions.Exit as end:
        return end.exit_code
    except (click.Abort, KeyboardInterrupt, EOFError):
        return 130
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 (the last line of defence: reported below)
        return report(error, words)


def report(error: Exception, words: Sequence[str]) -> int:
    """Print an error; returns the exit code (design, "Rules that keep it so")."""
    paths = Paths.from_environment(os.environ)
    found = expected(error) or plugins.failure(paths, error)
    if found is None:
        found = PikuError("piku itself failed here", hint=_kept(error, words, paths), code=3)
    if not found.shown:
        Output(sys.stderr).error(found)
    return found.code


def expected(error: Exception) -> PikuError | None:
    """The error that a user can act on; None when it is a bug, ours or a plugin's."""
    if isinstance(error, PikuError):
        return error
    if isinstance(error, click.ClickException):
        text = error.format_message().rstrip(".").replace("\n", " ")
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = "see: piku --help"
        if context:
            usage = context.get_usage().removeprefix("Usage: ")
            hint = f"write: {' '.join(usage.split())}; see: {context.command_path} --help"
        return PikuError(text[:1].lower() + text[1:], hint=hint, code=2)
    return of_system(error) if isinstance(error, OSError) else None


def _kept(error: Exception, words: Sequence[str], paths: Paths) -> str:
    """Keep what is known of a bug of ours; returns how to report it."""
    story = "".join(traceback.format_exception(error))
    place = paths.uwsgi / "fault.log"
    try:
        with place.open("a") as log:
            log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} piku {words[0]}\n{story}")
        return f"please report it, with the details in {place}"
    except OSError:
        return f"please report it: {story.splitlines()[-1]}"
