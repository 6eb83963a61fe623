"""The app that a command is for, when it was said before the command: `piku --app NAME COMMAND`.

A client says it so, for the checkout it is called in: which commands take an app, and where, is known here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import click

from piku.errors import PikuError
from piku.paths import AppName


def with_app(command: click.Command, words: Sequence[str], app: str) -> list[str]:
    """A command's words with the app where it takes one, unless they name one themselves.

    The first word is an app when it can be nothing else, or is that very app. It does not count which apps
    there are: the same words mean the same on every day.
    """
    taken = [one for one in command.params if isinstance(one, click.Argument)]
    if not taken or taken[0].name != "app":
        return list(words)
    places = list(arguments(command, words))
    if places and _is_app([words[place] for place in places], taken[1:], app):
        return list(words)
    at = places[0] if places else len(words)
    return [*words[:at], app, *words[at:]]


def _is_app(given: Sequence[str], others: Sequence[click.Argument], app: str) -> bool:
    """Whether the first of the words is an app's name, where `others` are what the command takes besides."""
    try:
        AppName.parse(given[0])
    except PikuError:
        return False
    if len(given) > sum(one.nargs for one in others) and all(one.nargs > 0 for one in others):
        return True
    if given[0] == app:
        return len(given) > sum(one.required for one in others)
    return bool(others) and "=" in (
        others[0].metavar or ""
    )  # such as KEY=VALUE, which no name of an app is


def arguments(command: click.Command, words: Sequence[str]) -> Iterator[int]:
    """Where among the words those are that are neither options nor values of options."""
    options = {
        name: one
        for one in command.params
        if isinstance(one, click.Option)
        for name in (*one.opts, *one.secondary_opts)
    }
    index = 0
    while index < len(words):
        word = words[index]
        if word == "--":
            yield from range(index + 1, len(words))
            return
        if len(word) < 2 or not word.startswith("-"):
            yield index
            if not command.context_settings.get("allow_interspersed_args", True):
                yield from range(index + 1, len(words))
                return
        elif (option := options.get(word)) and not option.is_flag and not option.count:
            index += 1  # its value
        index += 1
