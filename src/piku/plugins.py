"""Commands that the owner of a server adds: `plugins/NAME/__init__.py` below the piku root.

A plugin is Python that runs as piku does. One that is broken is told of, and is in nobody's way; it is
looked at only when a command is not piku's own, or all are listed. What an exception cannot tell, a plugin
that ends the process or never comes back, is found out in a process of its own before it is loaded here.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import stat
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from piku import trial
from piku.errors import PikuError
from piku.paths import Paths

Describe = Callable[[click.Command], Mapping[str, Any]]

_ENTRY = "cli_commands"
_PATIENCE = 10.0  # seconds for a plugin to load
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_COMMAND = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")


class Broken(Exception):
    """Why a plugin cannot be used, in one line."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The commands of all plugins, and what is to be said of those that could not be used."""

    commands: dict[str, click.Command]
    remarks: tuple[str, ...]


def find(paths: Paths, core: Iterable[str], describe: Describe) -> Found:
    """Load every plugin. Names in `core` are not theirs to take; among plugins the first by name has one.
    `describe` reads of a command what lists tell of it: one that it cannot read is no command."""
    taken = dict.fromkeys(core, "piku itself")
    commands: dict[str, click.Command] = {}
    remarks: list[str] = []
    here = folders(paths)
    ruined = trial.ruined(here, lambda folder: _offered(folder, describe), _PATIENCE)
    for folder in here:
        try:
            if folder in ruined:
                raise Broken(f"{folder / '__init__.py'}: {ruined[folder]}")
            offered = _offered(folder, describe)
        except Broken as reason:
            remarks.append(f"the plugin {folder.name} is not used: {reason}")
            continue
        for name, command in offered.items():
            if name in taken:
                remarks.append(
                    f"the plugin {folder.name} does not get {name!r}, a command of {taken[name]}"
                )
            else:
                commands[name] = command
                taken[name] = f"the plugin {folder.name}"
    return Found(commands=commands, remarks=tuple(remarks))


def folders(paths: Paths) -> list[Path]:
    """The folders of the plugins, by their names; what begins with a dot or '_' is none."""
    try:
        entries = sorted((paths.root / "plugins").iterdir())
    except OSError:
        return []
    return [
        entry
        for entry in entries
        if _NAME.fullmatch(entry.name) and (entry / "__init__.py").exists()
    ]


def culprit(error: BaseException) -> PikuError | None:
    """What is to be said of an error inside a plugin's command; None for one that is no plugin's."""
    for name, module in list(sys.modules.items()):
        if name.startswith("piku_plugin_") and (folder := _folder(module)):
            frames = [
                frame
                for frame in traceback.extract_tb(error.__traceback__)
                if _is_in(frame, folder)
            ]
            if frames:
                return PikuError(
                    f"the plugin {folder.name} failed: {_reason(error, folder)}",
                    hint="its author has to mend it; piku's own commands work on",
                )
    return None


def _folder(module: ModuleType) -> Path | None:
    return Path(module.__file__).parent if module.__file__ else None


# --- loading -------------------------------------------------------------------------------------


def _offered(folder: Path, describe: Describe) -> dict[str, click.Command]:
    """What a plugin offers, by the names of the commands; raises Broken. All of it is guarded: what a plugin
    calls a command may be anything, and is read where that does no harm."""
    found: dict[str, click.Command] = {}
    _guarded(lambda: found.update(_commands(folder)), folder)
    for name, command in found.items():
        _guarded(partial(_describe, command, describe), folder, f"the command {name!r}: ")
    return found


def _commands(folder: Path) -> dict[str, click.Command]:
    _refuse_foreign(folder)
    module = _loaded(folder)
    entry = getattr(module, _ENTRY, None)
    place = folder / "__init__.py"
    if not callable(entry):
        raise Broken(f"{place} has no function {_ENTRY}()")
    given = entry()
    found = dict(_named(given))
    line = getattr(getattr(entry, "__code__", None), "co_firstlineno", 1)
    wrong = next((one for one in found.values() if not isinstance(one, click.Command)), given)
    if not found or wrong is not given:
        raise Broken(f"{place}:{line}: {_ENTRY}() gives no click command, but {_shown(wrong)}")
    for name in found:
        if not isinstance(name, str) or not _COMMAND.fullmatch(name):
            raise Broken(f"{place}:{line}: {name!r} is no name for a command")
    return {name: command for name, command in found.items() if isinstance(command, click.Command)}


def _describe(command: click.Command, describe: Describe) -> None:
    """Read what lists read, here where it may fail."""
    told = describe(command)
    if not isinstance(told["help"], str):
        raise TypeError(f"its help is no text, but {type(told['help']).__name__}")
    json.dumps([*told.values(), bool(command.hidden)])


def _shown(given: object) -> str:
    return (
        "an empty group"
        if isinstance(given, click.Group)
        else f"{type(given).__name__} {given!r}"[:60]
    )


def _named(given: object) -> Iterator[tuple[str, object]]:
    """A group stands for the commands in it, anything else for itself; what is no command is named too."""
    if isinstance(given, click.Group):
        yield from given.commands.items()
    elif isinstance(given, click.Command):
        yield given.name or "", given
    elif isinstance(given, (list, tuple)):
        yield from ((str(getattr(one, "name", one)), one) for one in given)


def _loaded(folder: Path) -> ModuleType:
    # As a package of its own name: two plugins may have modules that are called alike.
    digest = hashlib.sha256(str(folder).encode(errors="surrogateescape")).hexdigest()[:8]
    name = f"piku_plugin_{re.sub('[^A-Za-z0-9]', '_', folder.name)}_{digest}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(
        name, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader = spec.loader
    try:
        loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _guarded(work: Callable[[], object], folder: Path, what: str = "") -> None:
    """Let a plugin do something. What it prints goes to standard error: standard output is data."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            work()
    except (KeyboardInterrupt, Broken):
        raise
    except BaseException as error:  # noqa: BLE001 (SystemExit too: a plugin must not end a core command)
        raise Broken(_reason(error, folder, what)) from None


def _reason(error: BaseException, folder: Path, what: str = "") -> str:
    """Where in the plugin and what, in one line."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_in(frame, folder)]
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else str(folder / "__init__.py")
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
        return f"{place}: {type(error).__name__}: {error.msg}"
    said = _said(error)
    return f"{place}: {what}{type(error).__name__}{f': {said}' if said else ''}"


def _said(error: BaseException) -> str:
    try:
        return " ".join(str(error).split())[:200]
    except Exception:  # noqa: BLE001 (an exception of a plugin's own, which has no words for itself)
        return ""


def _is_in(frame: traceback.FrameSummary, folder: Path) -> bool:
    return Path(frame.filename).is_relative_to(folder)


# --- who could have written it -------------------------------------------------------------------


def _refuse_foreign(folder: Path) -> None:
    """Raise Broken when anybody but the user of piku, or root, could change what is going to run."""
    real = folder.resolve()
    inside = (
        Path(top, name) for top, folders, files in os.walk(real) for name in (*folders, *files)
    )
    for path in (folder.parent, real, *inside):
        _refuse_path(path, path.stat() if path.exists() else path.lstat())
    for above in real.parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise Broken(f"{above} can be written by everybody: chmod o-w {above}")


def _refuse_path(path: Path, found: os.stat_result) -> None:
    if found.st_uid not in (os.getuid(), 0):
        raise Broken(f"{path} belongs to another user (uid {found.st_uid})")
    if found.st_mode & stat.S_IWOTH or (
        found.st_mode & stat.S_IWGRP and found.st_gid != os.getgid()
    ):
        raise Broken(f"{path} can be written by others: chmod go-w {path}")
