"""What a runtime is: a row of functions, none of which runs or changes anything."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import getuid
from pathlib import Path
from pwd import getpwuid
from typing import Any

from piku import subprocesses
from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.errors import PikuError

# The Debian package of a program, where it is called something else.
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
# How to install a program that Debian does not have.
COMMANDS = {
    # pipx installs for the user who runs it, and builds look there.
    "uv": "apt-get install pipx && sudo -Hu {user} pipx install uv",
    "clojure": "https://clojure.org/guides/install_clojure (Debian's is another program)",
}


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a runtime may look at.

    `environment` is the folder of the app's dependencies, `cache` one that outlives releases.
    `checkout` exists only during a build; `interpreter` is that of a version that is fetched.
    """

    tree: Tree
    settings: Mapping[str, str]
    checkout: Path
    environment: Path
    cache: Path
    interpreter: str = ""

    def digests(self, paths: Iterable[str]) -> list[str]:
        """For a key: those of these files that there are, with the ids of their contents."""
        found = self.tree.files
        return sorted(f"{path} {found[path]}" for path in paths if path in found)

    def chosen(self, is_ours: Callable[[str], object]) -> list[str]:
        """For a key: the settings with a name that the runtime's tool reads."""
        return sorted(f"{name}={text}" for name, text in self.settings.items() if is_ours(name))


@dataclass(frozen=True, kw_only=True)
class Run:
    """A program of a build, run in the checkout or in `cwd`, with more variables.

    `say` is a line to show before it, `hint` what to do when it fails. When an `optional` one
    fails, the build goes on: the function that yields the steps is resumed after each of them, and
    can look at the result. A `shared` one gets what all apps use, and runs nothing of the app's.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    say: str = ""
    hint: str = "see its output above"
    optional: bool = False
    shared: bool = False


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One row of the table of runtimes (specification, "Runtime Detection and Deployment").

    `requires` are groups of programs, of which one each must be installed; `install` says how, if
    not from Debian. `key` is everything that the environment depends on (None: there is no
    environment), `build` yields what makes one, `compile` what every checkout needs besides. `env`
    are variables below the settings, `path` the folders in front of PATH.
    """

    name: str
    title: str
    detect: Callable[[Tree, Procfile], bool]
    requires: tuple[tuple[str, ...], ...] = ()
    install: str = ""
    key: Callable[[Context], str] | None = None
    build: Callable[[Context], Iterator[Run]] = lambda _context: iter(())
    compile: Callable[[Context], Iterator[Run]] = lambda _context: iter(())
    env: Callable[[Context], Mapping[str, str]] = lambda _context: {}
    path: Callable[[Context], tuple[Path, ...]] = lambda context: (context.environment / "bin",)


def link(place: Path, target: Path) -> Iterator[Run]:
    """Replace whatever the commit has at this place by a link."""
    yield Run(argv=("rm", "-rf", str(place)))
    yield Run(argv=("ln", "-s", str(target), str(place)))


def parse(tree: Tree, path: str, loads: Callable[[str], Any]) -> dict[str, Any]:
    """A JSON or TOML document of the commit; empty when there is none. Raises PikuError."""
    try:
        found = loads(tree.read(path)) if path in tree.files else {}
    except (ValueError, RecursionError) as error:
        raise PikuError(f"{path} is malformed: {error}") from None
    if not isinstance(found, dict):
        raise PikuError(f"{path} is malformed: it does not hold an object")
    return found


def table(document: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The table of this name in a document; empty when there is none."""
    found: Any = document
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, dict) else {}


def search_path() -> str:
    """The PATH that builds have."""
    return subprocesses.app_path(Path.home())


def real_program(name: str) -> str:
    """The file of a program behind all links, which tells versions apart; else its name."""
    return str(Path(subprocesses.which(name, search_path()) or name).resolve())


def how_to_install(programs: Sequence[str]) -> str:
    """The commands that install these programs."""
    packages = [PACKAGES.get(program, program) for program in programs if program not in COMMANDS]
    apt = [f"apt-get install {' '.join(packages)}"] if packages else []
    others = (COMMANDS[program] for program in programs if program in COMMANDS)
    return " && ".join((*apt, *others)).format(user=getpwuid(getuid()).pw_name)
