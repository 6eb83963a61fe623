"""Plugins of the server's owner: `plugins/NAME/__init__.py` below the piku root (docs/plugins.md).

A plugin offers commands with `cli_commands()`, and may have an `EXTRA`. A broken one is a warning.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import traceback
from collections.abc import Container
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from piku.errors import PikuError
from piku.output import Output
from piku.paths import Paths

_FAULTS = (Exception, SystemExit)  # sys.exit() in a plugin must not end a command of piku's


def commands(paths: Paths, taken: Container[str]) -> dict[str, click.Command]:
    """The commands of all plugins but those named in `taken`; the first one with a name has it."""
    found: dict[str, click.Command] = {}
    for plugin, module in modules(paths.root / "plugins").items():
        try:
            for name, command in _offered(module).items():
                if name in taken or name in found:
                    _warn(plugin, f"cannot have the command {name!r}: that name is taken")
                else:
                    found[name] = command
        except _FAULTS as error:
            _warn(plugin, f"is not used: {_reason(error)}")
    return found


@functools.cache
def modules(folder: Path) -> dict[str, ModuleType]:
    """The plugins in this folder by their names, imported once."""
    found = {}
    for file in sorted(folder.glob("[!._]*/__init__.py")):
        try:
            found[file.parent.name] = _import(file)
        except _FAULTS as error:
            _warn(file.parent.name, f"is not used: {_reason(error)}")
    return found


def failure(paths: Paths, error: BaseException) -> PikuError | None:
    """How to report an error that a plugin's command raised; None when it is piku's own."""
    for frame in traceback.extract_tb(error.__traceback__):
        if (file := Path(frame.filename)).is_relative_to(folder := paths.root / "plugins"):
            name = file.relative_to(folder).parts[0]
            return PikuError(f"the plugin {name} failed: {_reason(error)}")
    return None


def _import(file: Path) -> ModuleType:
    # As a package with a name of its own: it may have modules beside it.
    name = f"piku_plugin_{file.parent.name.replace('.', '_')}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec and spec.loader
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _offered(module: ModuleType) -> dict[str, click.Command]:
    given: Any = module.cli_commands() if hasattr(module, "cli_commands") else []
    if not isinstance(given, (list, tuple)):
        # A group stands for the commands in it.
        given = list(getattr(given, "commands", {given.name: given}).values())
    for command in given:
        command.get_short_help_str()  # `piku help` calls it, where an error would be in the way
    return {command.name: command for command in given}


def _reason(error: BaseException) -> str:
    """The error and where it is from, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    frame = [frame for frame in frames if not frame.filename.startswith("<")][-1]
    return f"{type(error).__name__}: {error!s:.200} ({frame.filename}:{frame.lineno})"


def _warn(plugin: str, text: str) -> None:
    Output(sys.stderr).warn(f"the plugin {plugin} {' '.join(text.split())}")
