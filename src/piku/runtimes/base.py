"""What a runtime is: a row of functions, none of which changes anything by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from piku.app.procfile import Procfile
from piku.app.tree import Tree


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a runtime may look at. `environment` is where its dependencies belong, `cache` a folder
    of the app that outlives releases; `checkout` exists only once something is built."""

    tree: Tree
    settings: Mapping[str, str]
    checkout: Path
    environment: Path
    cache: Path


@dataclass(frozen=True, kw_only=True)
class Run:
    """A program that a build runs, in the checkout unless `cwd` says otherwise, with variables of its own."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One row of the table of runtimes (specification, "Runtime Detection and Deployment").

    `requires` are groups of programs of which one each must be installed. `key` is what the
    dependency environment depends on (None: it needs none), `build` yields what makes one, `compile`
    what every fresh checkout needs besides. `env` are variables below the settings, `path` the
    folders in front of PATH.
    """

    name: str
    title: str
    detect: Callable[[Tree, Procfile], bool]
    requires: tuple[tuple[str, ...], ...] = ()
    key: Callable[[Context], str] | None = None
    build: Callable[[Context], Iterator[Run]] = lambda _context: iter(())
    compile: Callable[[Context], Iterator[Run]] = lambda _context: iter(())
    env: Callable[[Context], Mapping[str, str]] = lambda _context: {}
    path: Callable[[Context], tuple[Path, ...]] = lambda context: (context.environment / "bin",)
