"""Python with requirements.txt: a virtualenv and pip."""

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
_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]*(\S+)")
DEFAULTS = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "UTF_8:replace"}
BOUND = "The project itself is installed, so each commit has an environment of its own"

# What pip takes from the tree rather than from an index: projects, archives, and folders of them.
_LOCAL = re.compile(
    r"(-e|--editable)\b|(-f|--find-links)[ =]*+(?!\w+://)|\.{0,2}/|file:|\.($|\[)|[^-\s:;@#][^\s:;@#]*/"
    r"|[\w.-]+(\[.*\])?\s*@\s*(file:|\.)|[\w.+-]+\.(whl|zip|tar\.\w+|tgz)\b"
)


def interpreter(version: str, *, said: str = "") -> str:
    """The Python of this version; raises PikuError that names the installed ones.

    `said` is where the version comes from, unless it is the setting.
    """
    found = subprocesses.which(f"python{version}", subprocesses.SYSTEM_PATH)
    if found:
        return str(Path(found).resolve())
    names = installed()
    raise PikuError(
        f"{said or f'PYTHON_VERSION={version}'}: there is no python{version} on this server",
        hint=f"installed are: {', '.join(names)}"
        if names
        else "install it with: apt-get install python3",
    )


def installed() -> list[str]:
    """The versions of Python of which the distribution's interpreter is here."""
    folders = [Path(folder) for folder in subprocesses.SYSTEM_PATH.split(":")]
    found = {file.name[6:] for folder in folders for file in folder.glob("python[23].[0-9]*")}
    return sorted(
        (v for v in found if re.fullmatch(r"[23]\.\d+", v)), key=lambda v: [*map(int, v.split("."))]
    )


def wsgi_plugin(values: Mapping[str, str], environment: Path) -> str:
    """The uWSGI plugin that runs the app's Python: a plugin is bound to one version."""
    made_for = next(environment.glob("lib/python[23].*"), None)
    chosen = made_for or Path(interpreter(settings.PYTHON_VERSION.read(values)))
    version = chosen.name.removeprefix("python")
    plugin = f"python{version.replace('.', '')}"
    if (PLUGINS / f"{plugin}_plugin.so").exists():
        return plugin
    have = sorted(
        file.name.removesuffix("_plugin.so") for file in PLUGINS.glob("python3?*_plugin.so")
    )
    raise PikuError(
        f"uWSGI on this server cannot run Python {version}",
        hint=f"its plugins are: {', '.join(have)}"
        if have
        else "install it: apt-get install uwsgi-plugin-python3",
    )


def requirement_files(tree: Tree) -> tuple[set[str], bool]:
    """requirements.txt with every file it includes, and whether anything in them is a local path."""
    seen: set[str] = set()
    local = False
    waiting = ["requirements.txt"]
    while waiting:
        path = waiting.pop()
        if path in seen or path not in tree.files:
            continue
        seen.add(path)
        for line in tree.read(path).splitlines():
            text = line.strip()
            if include := _INCLUDE.match(text):
                waiting.append(
                    posixpath.normpath(posixpath.join(posixpath.dirname(path), include[1]))
                )
            elif _LOCAL.match(text):
                local = True
    return seen, local


def environment_key(context: Context, files: Iterable[str], *, bound: bool, prefix: str) -> str:
    """What an environment depends on that is made from these files and settings of this prefix.

    One that is `bound` to the tree has code of the repository's own: it would be imported from the
    commit it was installed from.
    """
    tree = context.tree
    counted = tree.files if bound else [path for path in files if path in tree.files]
    python = interpreter(settings.PYTHON_VERSION.read(context.settings))
    own = sorted(
        f"{name}={value}" for name, value in context.settings.items() if name.startswith(prefix)
    )
    place = str(context.checkout) if bound else ""
    return "\n".join(
        (python, place, *own, *sorted(f"{path} {tree.digest(path)}" for path in counted))
    )


def _key(context: Context) -> str:
    files, local = requirement_files(context.tree)
    uv = _by_uv(context)
    key = environment_key(context, files, bound=local, prefix="UV_" if uv else "PIP_")
    return f"uv\n{key}" if uv else key


def _by_uv(context: Context) -> bool:
    return settings.PYTHON_INSTALLER.read(context.settings) == "uv"


def virtualenv(context: Context, python: str) -> Run:
    """How the environment itself is made.

    What virtualenv keeps to be quicker is the app's own and made anew: left half written by a power
    cut or a kill, it would fail every later build of every app.
    """
    own = ("--reset-app-data", "--app-data", str(context.cache / "virtualenv"))
    return Run(argv=("virtualenv", "--quiet", *own, "--python", python, str(context.environment)))


def _build(context: Context) -> Iterator[Run]:
    python = interpreter(settings.PYTHON_VERSION.read(context.settings))
    # uv would make one too, but without pip, which the app's own people may want to call.
    yield virtualenv(context, python)
    if _by_uv(context):
        yield Run(
            argv=(
                "uv",
                "pip",
                "install",
                "--python",
                str(context.environment),
                "-r",
                "requirements.txt",
            ),
            env={"UV_CACHE_DIR": str(context.cache / "uv"), "UV_NO_PROGRESS": "1"},
        )
        return
    pip = str(context.environment / "bin" / "pip")
    yield Run(
        argv=(pip, "install", "--progress-bar", "off", "-r", "requirements.txt"),
        env={"PIP_CACHE_DIR": str(context.cache / "pip"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )


PIP = Runtime(
    name="python",
    title="Python (requirements.txt)",
    detect=lambda tree, _procfile: "requirements.txt" in tree.files,
    requires=(("python3",), ("virtualenv",)),
    key=_key,
    build=_build,
    env=lambda _context: DEFAULTS,
)
