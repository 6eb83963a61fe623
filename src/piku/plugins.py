"""Plugins of the server's owner: `plugins/NAME/__init__.py` below the piku root (docs/plugins.md).

A plugin offers commands with `cli_commands()`, and may have an `EXTRA`. A broken one is a warning.
"""

import contextlib
import functools
import os
import sys
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from piku.errors import PikuError
from piku.output import Output
from piku.paths import Paths

_FAULTS = (Exception, SystemExit)  # sys.exit() in a plugin must not end a command of piku's
_PACKAGE = "piku_plugins"  # what the folder is to Python: no plugin hides another module


@functools.cache
def commands(paths: Paths) -> dict[str, click.Command]:
    """The commands of all plugins; the first one with a name has it."""
    found: dict[str, click.Command] = {}
    for plugin, module in modules(paths.root / "plugins").items():
        with _warning(plugin):
            found = {**_offered(module), **found}
    return found


@functools.cache
def modules(folder: Path) -> dict[str, ModuleType]:
    """The plugins in this folder by their names, imported once; none for root."""
    package = sys.modules[_PACKAGE] = ModuleType(_PACKAGE)
    package.__path__ = [str(folder)]
    found = {}
    places = folder.glob("[!._]*/__init__.py") if os.geteuid() else ()  # apps can write them
    for name in sorted(file.parent.name for file in places):
        with _warning(name):
            found[name] = import_module(f"{_PACKAGE}.{name}")
    return found


def failure(paths: Paths, error: BaseException) -> PikuError | None:
    """How to report an error that a plugin's command raised; None when it is piku's own."""
    for frame in traceback.extract_tb(error.__traceback__):
        if (file := Path(frame.filename)).is_relative_to(folder := paths.root / "plugins"):
            name = file.relative_to(folder).parts[0]
            return PikuError(f"the plugin {name} failed: {_reason(error)}")
    return None


def _offered(module: ModuleType) -> dict[str, click.Command]:
    given: Any = module.cli_commands() if hasattr(module, "cli_commands") else []
    if not isinstance(given, (list, tuple)):
        # A group stands for the commands in it.
        given = list(getattr(given, "commands", {given.name: given}).values())
    for command in given:
        command.get_short_help_str()  # `piku help` calls it, where an error would be in the way
    return {command.name: command for command in given}


@contextlib.contextmanager
def _warning(plugin: str) -> Iterator[None]:
    """Make an error in the block a warning."""
    try:
        yield
    except _FAULTS as error:
        text = " ".join(_reason(error).split())
        Output(sys.stderr).warn(f"the plugin {plugin} is not used: {text}")


def _reason(error: BaseException) -> str:
    """The error and where it is from, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = [frame for frame in frames if not frame.filename.startswith("<")][-1]
    return f"{type(error).__name__}: {error!s:.200} ({frame.filename}:{frame.lineno})"
