"""The app that a command is for, when it was named before the command: `piku --app APP COMMAND`.

A client names the app of its checkout so. Which commands take an app, and where, is known here.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import click

from piku.errors import PikuError
from piku.paths import AppName


def with_app(command: click.Command, words: Sequence[str], app: str) -> list[str]:
    """A command's words with the app where it takes one, unless they name one themselves.

    The first argument is an app when it can be nothing else, or is that very app. Which apps exist
    does not matter: the same words mean the same every day.
    """
    taken = [one for one in command.params if isinstance(one, click.Argument)]
    if not taken or taken[0].name != "app":
        return list(words)
    given = _arguments(command, words)
    if given and _is_app(given, taken[1:], app):
        return list(words)
    # Where options may follow arguments the app may come first; else right before the arguments.
    free = command.context_settings.get("allow_interspersed_args", True)
    at = 0 if free else len(words) - len(given)
    return [*words[:at], app, *words[at:]]


def _arguments(command: click.Command, words: Sequence[str]) -> list[str]:
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
    return bool(others) and "=" in (others[0].metavar or "")  # no app's name is a KEY=VALUE
