"""What a runtime is: a row of functions, none of which changes anything by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from piku.app.procfile import Procfile
from piku.app.tree import Tree

# How a program comes onto the server: the Debian package that has it, unless it has the program's name,
# or the command where Debian has none.
PACKAGES = {
    "poetry": "python3-poetry",
    "node": "nodejs",
    "bundle": "bundler",
    "mvn": "maven",
    "javac": "openjdk-17-jdk-headless",
    "java": "openjdk-17-jre-headless",
    "go": "golang-go",
    "lein": "leiningen",
    "php": "php-cli",
}
COMMANDS = {"uv": "pipx install uv"}


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
    """A program that a build runs, in the checkout unless `cwd` says otherwise, with variables of its own.

    `say` is a line before it. A build goes on when an `optional` one fails: what yields the steps is
    resumed after each, and can look at what is there then.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    say: str = ""
    optional: bool = False


def linked(place: Path, target: Path) -> Iterator[Run]:
    """Have a link in the checkout in place of whatever the commit has there."""
    yield Run(argv=("rm", "-rf", str(place)))
    yield Run(argv=("ln", "-s", str(target), str(place)))


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


def how_to_install(programs: Sequence[str]) -> str:
    """The commands that bring these programs onto the server."""
    packages = [PACKAGES.get(program, program) for program in programs if program not in COMMANDS]
    apt = [f"apt-get install {' '.join(packages)}"] if packages else []
    return " && ".join([*apt, *(COMMANDS[program] for program in programs if program in COMMANDS)])
