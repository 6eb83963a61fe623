"""Python with requirements.txt: a virtualenv and pip; and what all Python environments share."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from piku import subprocesses
from piku.app import settings
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.runtimes.base import Context, Run, Runtime

PLUGINS = Path("/usr/lib/uwsgi/plugins")
DEFAULTS = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "UTF_8:replace"}
BOUND = "The project itself is installed, so each commit has an environment of its own"
_NAME = "requirements.txt"
_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]*(\S+)")
# What pip takes from the tree rather than from an index: projects, archives, and folders of them.
_LOCAL = re.compile(
    r"(-e|--editable)\b|(-f|--find-links)[ =]*+(?!\w+://)|\.{0,2}/|file:|\.($|\[)"
    r"|[^-\s:;@#][^\s:;@#]*/|[\w.-]+(\[.*\])?\s*@\s*(file:|\.)"
    r"|[\w.+-]+\.(whl|zip|tar\.\w+|tgz)\b"
)


def interpreter(version: str, *, said: str = "") -> str:
    """The Python of this version; raises PikuError that names the installed ones.

    `said` is where the version comes from, unless it is the setting.
    """
    found = subprocesses.which(f"python{version}", subprocesses.SYSTEM_PATH)
    if found:
        return str(Path(found).resolve())
    folders = [Path(folder) for folder in subprocesses.SYSTEM_PATH.split(":")]
    files = {file.name for folder in folders for file in folder.glob("python[23].[0-9]*")}
    names = sorted((name[6:] for name in files if re.fullmatch(r"\w+\.\d+", name)), key=_numbers)
    have = f"installed are: {', '.join(names)}" if names else "apt-get install python3"
    what = said or f"PYTHON_VERSION={version}"
    raise PikuError(f"{what}: there is no python{version} on this server", hint=have)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def wsgi_plugin(values: Mapping[str, str], environment: Path) -> str:
    """The uWSGI plugin that runs the app's Python: a plugin is bound to one version."""
    made_for = next(environment.glob("lib/python[23].*"), None)
    chosen = made_for or Path(interpreter(settings.PYTHON_VERSION.read(values)))
    version = chosen.name.removeprefix("python")
    plugin = f"python{version.replace('.', '')}"
    if (PLUGINS / f"{plugin}_plugin.so").exists():
        return plugin
    end = "_plugin.so"
    have = sorted(file.name.removesuffix(end) for file in PLUGINS.glob(f"python3?*{end}"))
    names = (
        f"its plugins are: {', '.join(have)}" if have else "apt-get install uwsgi-plugin-python3"
    )
    raise PikuError(f"uWSGI on this server cannot run Python {version}", hint=names)


def requirement_files(tree: Tree) -> tuple[set[str], bool]:
    """requirements.txt with every file it includes, and whether any of them has a local path."""
    seen: set[str] = set()
    local = False
    waiting = [_NAME]
    while waiting:
        path = waiting.pop()
        if path in seen or path not in tree.files:
            continue
        seen.add(path)
        for line in map(str.strip, tree.read(path).splitlines()):
            if include := _INCLUDE.match(line):
                place = posixpath.join(posixpath.dirname(path), include[1])
                waiting.append(posixpath.normpath(place))
            elif _LOCAL.match(line):
                local = True
    return seen, local


def environment_key(context: Context, files: Iterable[str], *, bound: bool, prefix: str) -> str:
    """The key of an environment made from these files, and settings of this prefix.

    One that is `bound` to the tree has the repository's own code: it would be imported from the
    commit that it was installed from.
    """
    tree = context.tree
    counted = tree.files if bound else [path for path in files if path in tree.files]
    python = interpreter(settings.PYTHON_VERSION.read(context.settings))
    place = str(context.checkout) if bound else ""
    own = context.chosen(lambda name: name.startswith(prefix))
    return "\n".join((python, place, *own, *context.digests(counted)))


def _key(context: Context) -> str:
    files, local = requirement_files(context.tree)
    uv = _by_uv(context)
    key = environment_key(context, files, bound=local, prefix="UV_" if uv else "PIP_")
    return f"uv\n{key}" if uv else key


def _by_uv(context: Context) -> bool:
    return settings.PYTHON_INSTALLER.read(context.settings) == "uv"


def uv_cache(context: Context) -> Mapping[str, str]:
    return {"UV_CACHE_DIR": str(context.cache / "uv"), "UV_NO_PROGRESS": "1"}


def virtualenv(context: Context) -> Run:
    """How the environment itself is made.

    virtualenv's own cache is the app's, and made anew: left half-written by a power cut, it would
    fail every later build of every app.
    """
    python = interpreter(settings.PYTHON_VERSION.read(context.settings))
    own = ("--reset-app-data", "--app-data", str(context.cache / "virtualenv"))
    return Run(argv=("virtualenv", "--quiet", *own, "--python", python, str(context.environment)))


def _build(context: Context) -> Iterator[Run]:
    # uv would make one too, but without pip, which the app's own people may want to call.
    yield virtualenv(context)
    if _by_uv(context):
        uv = ("uv", "pip", "install", "--python", str(context.environment))
        yield Run(argv=(*uv, "-r", _NAME), env=uv_cache(context))
        return
    pip = str(context.environment / "bin" / "pip")
    yield Run(
        argv=(pip, "install", "--progress-bar", "off", "-r", _NAME),
        env={"PIP_CACHE_DIR": str(context.cache / "pip"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )


PIP = Runtime(
    name="python",
    title="Python (requirements.txt)",
    detect=lambda tree, _procfile: _NAME in tree.files,
    requires=(("python3",), ("virtualenv",)),
    key=_key,
    build=_build,
    env=lambda _context: DEFAULTS,
)
