"""Python: Django by its manage.py, other applications by the lines that make them."""

import posixpath
import re
import shlex
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace

from piku.extras.detect.fit import Files, Fit, document, search, table

_REQUIREMENTS, _PYPROJECT = "requirements.txt", "pyproject.toml"
_ENTRY_NAMES = ("wsgi", "asgi", "app", "main", "application", "server", "api", "run")
_MOST = 60  # modules that are looked at, the likeliest first
_NO_APPS = {"tests", "test", "docs", "examples", "migrations", "setup", "conftest", "manage"}

_CLASS = (
    r"^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?"
    r"(FastAPI|Starlette|Litestar|Quart|Flask|APIFlask|Bottle|(?<=falcon\.)App)\("
)
# Made or imported by a module that is there to be served.
_MADE = r"^(app|application|server)\s*(?::[^=\n]+)?=\s*(?:[\w.]+\.)?((?:create|make)_\w+\(|server$)"
_IMPORTED = r"^from [\w.]+ import (?:\w+ as )?(app|application)\s*$"
_FUNCTION = r"^def (application|app)\(environ"
# One that takes no arguments, or has a default for each.
_FACTORY = r"^def ((?:create|make)_app(?:lication)?)\(\s*(?:\)|\*|\w+\s*(?::[^,=)]*)?=)"

_STATIC_ROOT = r"^STATIC_ROOT\s*=\s*BASE\w*\s*/\s*['\"]([\w-]+)['\"]$"
_MIGRATE = "release: python manage.py migrate --noinput"
DJANGO = r"DJANGO_SETTINGS_MODULE['\"]\s*,\s*['\"](\w+)"
# What serves an asynchronous application, and its command line.
_SERVERS = {
    "uvicorn": "uvicorn {} --host $BIND_ADDRESS --port $PORT",
    "hypercorn": "hypercorn {} --bind $BIND_ADDRESS:$PORT",
    "daphne": "daphne -b $BIND_ADDRESS -p $PORT {}",
}
_SYNC = ("Flask", "Bottle", "Falcon", "Dash")
_ASYNC = ("FastAPI", "Starlette", "Litestar", "Quart", "Sanic")


@dataclass(frozen=True, kw_only=True)
class _Application:
    """Where an application is, as "module:name"; `framework` is empty when it is not to be seen."""

    spec: str
    path: str
    framework: str = ""
    is_factory: bool = False

    @property
    def is_async(self) -> bool:
        return self.framework in _ASYNC


def python(files: Files) -> Fit | None:
    """What fits a Python application; None when there is none to be found."""
    packages = _packages(files)
    if fit := _django(files, packages):
        return fit
    found = _application(files, packages)
    if found is None:
        return None
    missing = _no_packages(files, found.framework) if found.framework else ""
    if found.is_async and not missing and not _SERVERS.keys() & packages:
        where = _PYPROJECT if _PYPROJECT in files else _REQUIREMENTS
        missing = f"{where} has no server for {found.framework}: add uvicorn to it"
    line = _line(found, packages, is_async=found.is_async)
    title, because = f"Python, {found.framework or 'WSGI'}", f"as {found.path} says"
    return Fit(title=title, lines=(line,), because=because, missing=missing)


def _no_packages(files: Files, framework: str) -> str:
    """Why nothing would be installed, if so."""
    pipenv = "pipenv requirements > requirements.txt"
    way = pipenv if "Pipfile" in files else f"add one that names {framework} and all that it uses"
    listed = _REQUIREMENTS in files or _PYPROJECT in files
    return "" if listed else f"no requirements.txt either: {way}"


def _application(files: Files, packages: Set[str]) -> _Application | None:
    """The first module's that has one; a function that makes one counts less."""
    named = next((title for title in (*_SYNC, *_ASYNC) if title.lower() in packages), "")
    factory = None
    for name, path in _modules(files):
        text = files.read(path)
        if found := _in_module(name, text, named):
            return replace(found, path=path)
        made = search(_FACTORY, text)
        if made and factory is None:
            framework = "FastAPI" if "FastAPI(" in text else named or "Flask"
            spec = f"{name}:{made[1]}"
            factory = _Application(spec=spec, path=path, framework=framework, is_factory=True)
    return factory


def _in_module(name: str, text: str, named: str) -> _Application | None:
    """`named` is the framework among the packages."""
    found = search(_CLASS, text)
    framework = found[2].replace("App", "Falcon") if found else ""
    found = found or search(_FUNCTION, text)
    if found is None and named:
        entry = name.rpartition(".")[2] in ("wsgi", "asgi")
        found = search(_MADE, text) or (search(_IMPORTED, text) if entry else None)
        framework = named
    return _Application(spec=f"{name}:{found[1]}", path="", framework=framework) if found else None


def _modules(files: Files) -> Iterator[tuple[str, str]]:
    """Python modules with their paths, the likeliest first; two folders deep, without tests."""

    def rank(path: str) -> tuple[int, int, str]:
        name = path.rpartition("/")[2].removesuffix(".py")
        likely = _ENTRY_NAMES.index(name) if name in _ENTRY_NAMES else len(_ENTRY_NAMES)
        return path.removeprefix("src/").count("/"), likely, path

    # What is below src is imported from there once the project is installed.
    installed = "build-system" in document(files, _PYPROJECT)
    shallow = (path for path in files.names if path.endswith(".py") and path.count("/") <= 2)
    for path in sorted(shallow, key=rank)[:_MOST]:
        whole = path.removeprefix("src/") if installed else path
        parts = whole.removesuffix(".py").removesuffix("/__init__").split("/")
        wanted = not _NO_APPS.intersection(parts) and not parts[-1].startswith("test_")
        if wanted and all(part.isidentifier() for part in parts):
            yield ".".join(parts), path


def _packages(files: Files) -> frozenset[str]:
    """The names of what is installed, in lower case, as far as the files say."""
    found = document(files, _PYPROJECT)
    lines = [*_requirements(files), *map(str, table(found, "project").get("dependencies") or ())]
    lines += table(found, "tool", "poetry", "dependencies")
    names = set()
    for line in lines:
        if match := re.match(r"\s*([A-Za-z0-9][\w.-]*)\s*(\[[^]]*\])?", line):
            names.add(re.sub(r"[-_.]+", "-", match[1].lower()))
            names |= {"uvicorn"} if "standard" in (match[2] or "") else set()
    return frozenset(names)


def _requirements(files: Files, path: str = _REQUIREMENTS, depth: int = 3) -> Iterator[str]:
    """The lines of requirements.txt and of the files that it includes."""
    for line in files.read(path).splitlines():
        include = re.match(r"(?:-r|--requirement)[ =]*(\S+)", line)
        if include and depth:
            place = posixpath.join(posixpath.dirname(path), include[1])
            yield from _requirements(files, posixpath.normpath(place), depth - 1)
        yield line


def _line(found: _Application, packages: Set[str], *, is_async: bool) -> str:
    """By a server among the packages; without one, by uWSGI or as if uvicorn were among them."""
    if is_async:
        server = next((name for name in _SERVERS if name in packages), "uvicorn")
        spec = f"--factory {found.spec}" if found.is_factory else found.spec
        return f"web: {_SERVERS[server].format(spec)}"
    spec = f"{found.spec}()" if found.is_factory else found.spec
    if "gunicorn" in packages:
        return f"web: gunicorn {shlex.quote(spec)} --bind $BIND_ADDRESS:$PORT"
    return f"wsgi: {spec}"


def _django(files: Files, packages: Set[str]) -> Fit | None:
    named = search(DJANGO, files.read("manage.py"))
    if not named:
        return None
    project = named[1]
    texts = (files.read(path) for path in files.names if path.startswith(f"{project}/settings"))
    settings = "\n".join(texts)
    stated = search(r"^WSGI_APPLICATION\s*=\s*['\"]([\w.]+)\.(\w+)['\"]", settings)
    spec = f"{stated[1]}:{stated[2]}" if stated else f"{project}.wsgi:application"
    wanted = "channels" in packages or "gunicorn" not in packages
    is_async = bool(wanted and _SERVERS.keys() & packages and f"{project}/asgi.py" in files)
    app = _Application(spec=f"{project}.asgi:application" if is_async else spec, path="manage.py")
    static = search(_STATIC_ROOT, settings) if f"{project}/settings.py" in files else None
    static = None if "whitenoise" in settings.lower() else static  # which serves it itself
    return Fit(
        title="Python, Django",
        lines=(_line(app, packages, is_async=is_async), _MIGRATE),
        because="as manage.py says",
        missing=_no_packages(files, "Django"),
        settings=(f"NGINX_STATIC_PATHS=/static:{static[1]}",) if static else (),
        notes=("ALLOWED_HOSTS needs the host name, and the database a place outside the checkout",),
    )
