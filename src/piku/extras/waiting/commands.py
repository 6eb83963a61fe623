"""The flag with which a command fails at once where another one is at work on the app."""

from typing import Any

import click

from piku import locks
from piku.cli.common import with_flag


def with_flags(command: click.Command) -> click.Command:
    """The command with --no-wait."""

    def call(_given: bool, /, **arguments: Any) -> Any:
        locks.patient = False
        function: Any = command.callback
        return function(**arguments)

    what = "Fail at once when another command is at work on the app."
    return with_flag(command, click.Option(["--no-wait"], is_flag=True, help=what), call)
