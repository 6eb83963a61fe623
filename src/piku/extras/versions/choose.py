"""Deciding, for each language: what is here, what the app asks for, and how it comes to be used."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from piku import subprocesses
from piku.app.settings import NODE_VERSION, PYTHON_VERSION
from piku.errors import PikuError
from piku.extras.versions import fetch, ranges
from piku.extras.versions.choice import Choice, allowed, dotted, how_to_allow
from piku.extras.versions.wanted import Wanted, of_text, wanted
from piku.runtimes import python
from piku.runtimes.base import Context, real_program, search_path

PYTHONS = [(3, minor) for minor in range(6, 30)]
_GO_FETCHES = (1, 21)  # from here on, Go itself fetches what a go.mod asks for


@dataclass(frozen=True, kw_only=True)
class Language:
    """`candidates` are the versions to choose from for a range, `fetched` says how one that is
    fetched is used, `install` is the other way out."""

    title: str
    candidates: Sequence[ranges.Version]
    fetched: Callable[[Context, str], Choice] | None = None
    install: str = "install it on the server, in /usr/local/bin"


def _decide(language: Language, want: Wanted | None, here: str, context: Context) -> Choice:
    """The version that is `here` where it will do, else one that is fetched, else a refusal. One
    that is newer than what is asked for will most often do, unless a tool is strict about it."""
    if want is None:
        return Choice()
    title, asks = language.title, f"{want.source} asks for"
    version = ranges.version(here.split()[0])
    if ranges.allows(want.range, version):
        return Choice(note=f"{title} {here}: {asks} {want.text}")
    near = ranges.nearest(want.range, version, language.candidates)
    request, ways = want.plain or dotted(near), ""
    if near and language.fetched is not None:
        if allowed(context):
            choice = language.fetched(context, request)
            return replace(choice, note=f"{title} {request}{choice.note}: {asks} {want.text}")
        ways = f"let Piku fetch it: {how_to_allow(context)}"
    if near and near < version[: len(near)] and want.source not in (PYTHON_VERSION.name, "Gemfile"):
        what = f"{asks} {title} {want.text}, which is not here: {here.split()[0]} runs it"
        return Choice(warning="; or ".join(filter(None, (what, ways))))
    what = f"{asks} {title} {want.text}, and this server has {title} {here}"
    install = language.install.format(".".join(request.split(".")[:2]))
    return Choice(problem=PikuError(what, hint="\nor ".join(filter(None, (ways, install)))))


def _version_of(program: str, word: str = "--version") -> str:
    env = {**subprocesses.environment(), "PATH": search_path(), "GOTOOLCHAIN": "local"}
    said = subprocesses.run([program, word], cwd=Path("/"), env=env, merged=True, check=False)
    return next(iter(re.findall(r"\d+\.\d+(?:\.\d+)?", said)), "0.0.0")


def _python(context: Context) -> Choice:
    name, said = PYTHON_VERSION.name, context.settings.get(PYTHON_VERSION.name, "")
    want = of_text("python", name, said) or wanted("python", context.tree)
    if want is None:
        return Choice()
    default = Path(python.interpreter("3")).name.removeprefix("python")
    others = sorted(set(python.installed()) - {default}, key=ranges.version, reverse=True)
    here = {version: _version_of(f"python{version}") for version in (default, *others)}
    for version, whole in here.items():
        if ranges.allows(want.range, ranges.version(whole)):
            return replace(_decide(_PYTHON, want, whole, context), settings={name: version})
    return _decide(_PYTHON, want, " and ".join(here.values()), context)


def _python_fetched(context: Context, request: str) -> Choice:
    minor = ".".join(request.split(".")[:2])
    program = fetch.place(context, f"python-{request}") / "bin" / f"python{minor}"
    return Choice(
        interpreter=str(program),
        fetch=lambda inner: fetch.python(inner, request, program),
        key=f"fetched {request}",
        note="" if program.exists() else ", which uv fetches",
    )


def _node(context: Context) -> Choice:
    if context.settings.get(NODE_VERSION.name):
        return Choice()
    return _decide(_NODE, wanted("node", context.tree), _version_of("node"), context)


def _node_fetched(_context: Context, request: str) -> Choice:
    # The runtime knows how to get it, and keeps it in the cache of the app's npm.
    return Choice(settings={NODE_VERSION.name: request}, interpreter="node")


def _go(context: Context) -> Choice:
    want, here = wanted("go", context.tree), _version_of("go", "version")
    own = ranges.version(here) >= _GO_FETCHES and context.settings.get("GOTOOLCHAIN") != "local"
    # What a go.mod says up to 1.20 is advice, and Go repeats it when it cannot compile the app.
    advice = want is not None and want.plain and ranges.version(want.plain) < _GO_FETCHES
    return Choice() if own or advice else _decide(_GO, want, here, context)


def _go_fetched(context: Context, request: str) -> Choice:
    root = fetch.place(context, f"go-{request}")
    return Choice(
        folder=root / "bin",
        variables={"GOROOT": "", "GOTOOLCHAIN": "local"},
        fetch=lambda _inner: fetch.go(request, root),
        key=f"fetched {request}",
        note="" if root.exists() else ", which is fetched",
    )


def _ruby(context: Context) -> Choice:
    return _decide(_RUBY, wanted("ruby", context.tree), _version_of("ruby"), context)


def _rust(context: Context) -> Choice:
    if (Path(real_program("cargo")).parent / "rustup").exists():
        # rustup reads the file and fetches what it says, unless that is switched off.
        return Choice(variables={"RUSTUP_AUTO_INSTALL": "1"} if allowed(context) else {})
    return _decide(_RUST, wanted("rust", context.tree), _version_of("cargo"), context)


_PYTHON = Language(
    title="Python", candidates=PYTHONS, fetched=_python_fetched,
    install="install python{} on the server, in /usr/local/bin, with its venv module",
)  # fmt: skip
_NODE = Language(
    title="Node.js", candidates=[(n,) for start in (4, 5) for n in range(start, 60, 2)],
    fetched=_node_fetched,  # even versions first: they have long-term support
)  # fmt: skip
_GO = Language(title="Go", candidates=[(1, n) for n in range(21, 60)], fetched=_go_fetched)
_RUBY = Language(
    title="Ruby", candidates=[(major, n) for major in (2, 3, 4) for n in range(10)],
    install="apt-get install ruby-build && ruby-build VERSION /usr/local",
)  # fmt: skip
_RUST = Language(
    title="Rust", candidates=[(1, n) for n in range(30, 200)],
    install="install rustup as piku's user: it fetches what this file says",
)  # fmt: skip

# By the name of the runtime.
CHOOSERS: Mapping[str, Callable[[Context], Choice]] = {
    "python": _python, "poetry": _python, "uv": _python, "pdm": _python, "hatch": _python,
    "node": _node, "go": _go, "ruby": _ruby, "rust": _rust,
}  # fmt: skip


def choose(name: str, context: Context) -> Choice:
    try:
        return CHOOSERS[name](context)
    except PikuError as error:
        return Choice(problem=error)
