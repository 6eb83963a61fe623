"""Python: a requirements.txt by pip or uv, a pyproject.toml by Poetry or uv."""

import posixpath
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from piku import subprocesses
from piku.app import settings
from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.runtimes.base import Context, Run, Runtime, link, parse, table

PLUGINS = Path("/usr/lib/uwsgi/plugins")
_REQUIREMENTS, _PYPROJECT = "requirements.txt", "pyproject.toml"
DEFAULTS = {"PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "UTF_8:replace"}
_BOUND = "The project itself is installed, so each commit has an environment of its own"
_INSTEAD = "use another server, such as web: gunicorn --bind $BIND_ADDRESS:$PORT MODULE:CALLABLE"
_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[ =]*(\S+)")
# Lines for which pip takes something from the tree: projects, archives, and folders of them.
_LOCAL_LINE = re.compile(
    r"(-e|--editable)\b|\.|[^#;]*\bfile:"
    r"|(?!.*://)((-f|--find-links)\b|[^#;]*(/|\.(whl|zip|tar\.\w+|tgz)\b))"
)
_LOCAL_TABLE = re.compile(r"\bpath\s*=|\bworkspace\b|@ file:")


# --- interpreters --------------------------------------------------------------------------------


def interpreter(version: str) -> str:
    """The Python of this version; raises PikuError that names the installed ones."""
    if found := subprocesses.which(f"python{version}", subprocesses.SYSTEM_PATH):
        return str(Path(found).resolve())
    what = f"PYTHON_VERSION={version}: there is no python{version} on this server"
    raise PikuError(what, hint=f"installed are: {', '.join(installed())}")


def installed() -> list[str]:
    """The versions of Python that are installed, such as 3.11."""
    folders = map(Path, subprocesses.SYSTEM_PATH.split(":"))
    files = {file.name for folder in folders for file in folder.glob("python[23].*[0-9]")}
    return sorted(name.removeprefix("python") for name in files)


def chosen_interpreter(context: Context) -> str:
    return context.interpreter or interpreter(settings.PYTHON_VERSION.read(context.settings))


def wsgi_plugin(context: Context) -> str:
    """The uWSGI plugin that runs the app's Python: a plugin is bound to one version."""
    made_for = next(context.environment.glob("lib/python[23].*"), None)
    version = (made_for or Path(chosen_interpreter(context))).name.removeprefix("python")
    plugin = f"python{version.replace('.', '')}"
    if (PLUGINS / f"{plugin}_plugin.so").exists():
        return plugin
    have = ", ".join(sorted(file.stem for file in PLUGINS.glob("python3?*_plugin.so")))
    raise PikuError(
        f"uWSGI on this server cannot run Python {version}",
        hint=f"it has: {have}; {_INSTEAD}" if have else "apt-get install uwsgi-plugin-python3",
    )


# --- what the three have in common ---------------------------------------------------------------


def environment_key(context: Context, files: Iterable[str], *, bound: bool, prefix: str) -> str:
    """The key of an environment made from these files, and settings of this prefix.

    One that is `bound` to the tree has the repository's own code: it would be imported from the
    commit that it was installed from.
    """
    place = str(context.checkout) if bound else ""
    own = context.chosen(lambda name: name.startswith(prefix))
    python = chosen_interpreter(context)
    digests = context.digests(context.tree.files if bound else files)
    return "\n".join((python, place, *own, *digests))


def virtualenv(context: Context) -> Run:
    """How the environment itself is made.

    virtualenv's own cache is the app's, and made anew: left half-written by a power cut, it would
    fail every later build of every app. Debian's virtualenv fits Debian's Python alone.
    """
    python = chosen_interpreter(context)
    if python != interpreter("3"):
        return Run(argv=(python, "-m", "venv", str(context.environment)))
    own = ("--reset-app-data", "--app-data", str(context.cache / "virtualenv"))
    return Run(argv=("virtualenv", "--quiet", *own, "--python", python, str(context.environment)))


def _uv_cache(context: Context) -> dict[str, str]:
    return {"UV_CACHE_DIR": str(context.cache / "uv"), "UV_NO_PROGRESS": "1"}


# --- requirements.txt ----------------------------------------------------------------------------


def requirement_files(tree: Tree) -> tuple[set[str], bool]:
    """requirements.txt with every file it includes, and whether any of them has a local path."""
    seen: set[str] = set()
    local = False
    waiting = [_REQUIREMENTS]
    while waiting:
        path = waiting.pop()
        if path in seen or path not in tree.files:
            continue
        seen.add(path)
        for line in map(str.strip, tree.read(path).splitlines()):
            if include := _INCLUDE.match(line):
                place = posixpath.join(posixpath.dirname(path), include[1])
                waiting.append(posixpath.normpath(place))
            elif _LOCAL_LINE.match(line):
                local = True
    return seen, local


def _pip_key(context: Context) -> str:
    files, local = requirement_files(context.tree)
    tool = settings.PYTHON_INSTALLER.read(context.settings)
    key = environment_key(context, files, bound=local, prefix=f"{tool.upper()}_")
    return f"{tool}\n{key}"


def _pip_build(context: Context) -> Iterator[Run]:
    # uv would make one too, but without pip, which the app's own people may want to call.
    yield virtualenv(context)
    if not re.search(r"(?m)^\s*[^\s#]", context.tree.read(_REQUIREMENTS)):
        return  # pip would think for a second
    if settings.PYTHON_INSTALLER.read(context.settings) == "uv":
        uv = ("uv", "pip", "install", "--python", str(context.environment))
        yield Run(argv=(*uv, "-r", _REQUIREMENTS), env=_uv_cache(context))
        return
    pip = str(context.environment / "bin" / "pip")
    yield Run(
        argv=(pip, "install", "--progress-bar", "off", "-r", _REQUIREMENTS),
        env={"PIP_CACHE_DIR": str(context.cache / "pip"), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )


PIP = Runtime(
    name="python",
    title="Python (requirements.txt)",
    detect=lambda tree, _procfile: _REQUIREMENTS in tree.files,
    requires=(("python3",), ("virtualenv",)),
    key=_pip_key,
    build=_pip_build,
    env=lambda _context: DEFAULTS,
)


# --- pyproject.toml ------------------------------------------------------------------------------


def _pyproject(tree: Tree) -> dict[str, Any]:
    return parse(tree, _PYPROJECT, tomllib.loads)


def _has_local(tree: Tree) -> bool:
    """Whether a dependency is a folder or file of the repository."""
    return bool(_LOCAL_TABLE.search(tree.read(_PYPROJECT)))


def _is_poetry(tree: Tree, _procfile: Procfile) -> bool:
    """By its build backend, or by a table of its settings."""
    document = _pyproject(tree)
    backend = str(table(document, "build-system").get("build-backend", ""))
    return backend.startswith("poetry.") or "poetry" in table(document, "tool")


def poetry_installs_project(tree: Tree) -> bool:
    """Whether the project is a package to Poetry: it names its parts, or a module has its name."""
    document = _pyproject(tree)
    own = table(document, "tool", "poetry")
    if own.get("package-mode") is False:
        return False
    if "packages" in own or "build" in own:
        return True
    name = str(own.get("name") or table(document, "project").get("name") or "")
    module = re.sub(r"[-.]+", "_", name)
    places = tuple(f"{folder}{module}{end}" for folder in ("", "src/") for end in ("/", ".py"))
    return bool(module) and any(path.startswith(places) for path in tree.files)


def _poetry_key(context: Context) -> str:
    bound = poetry_installs_project(context.tree) or _has_local(context.tree)
    files = (_PYPROJECT, "poetry.lock", "poetry.toml")
    return environment_key(context, files, bound=bound, prefix="POETRY_")


def _poetry_build(context: Context) -> Iterator[Run]:
    yield virtualenv(context)
    root = () if poetry_installs_project(context.tree) else ("--no-root",)
    yield Run(
        argv=("poetry", "install", "--no-interaction", "--no-ansi", *root),
        env={
            "POETRY_CACHE_DIR": str(context.cache / "poetry"),
            # Any other keyring asks for a desktop.
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        },
        say="" if root else _BOUND,
    )


POETRY = Runtime(
    name="poetry",
    title="Python (Poetry)",
    detect=_is_poetry,
    requires=(("python3",), ("virtualenv",), ("poetry",)),
    key=_poetry_key,
    build=_poetry_build,
    compile=lambda context: link(context.checkout / ".venv", context.environment),
    env=lambda _context: {**DEFAULTS, "POETRY_VIRTUALENVS_IN_PROJECT": "1"},
)


def _uv_installs_project(tree: Tree) -> bool:
    """Whether the project is a package to uv; then it is installed editable."""
    document = _pyproject(tree)
    said = table(document, "tool", "uv").get("package")
    return said if isinstance(said, bool) else "build-system" in document


def _uv_key(context: Context) -> str:
    bound = _uv_installs_project(context.tree) or _has_local(context.tree)
    files = context.tree.above(_PYPROJECT, "uv.lock", "uv.toml")
    return environment_key(context, files, bound=bound, prefix="UV_")


def _uv_build(context: Context) -> Iterator[Run]:
    locked = ("--locked",) if context.tree.above("uv.lock") else ()
    python = ("--no-python-downloads", "--python", chosen_interpreter(context))
    yield Run(
        argv=("uv", "sync", *python, *locked),
        env={**_uv_cache(context), "UV_PROJECT_ENVIRONMENT": str(context.environment)},
        say=_BOUND if _uv_installs_project(context.tree) else "",
    )


UV = Runtime(
    name="uv",
    title="Python (uv)",
    detect=lambda tree, _procfile: _PYPROJECT in tree.files,
    requires=(("python3",), ("uv",)),
    key=_uv_key,
    build=_uv_build,
    env=lambda context: {**DEFAULTS, "UV_PROJECT_ENVIRONMENT": str(context.environment)},
)
