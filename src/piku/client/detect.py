"""Which Procfile and ENV fit a checkout. Pure: it looks at files, and proposes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from piku.errors import PikuError


@dataclass(frozen=True, kw_only=True)
class Files:
    """The files of a checkout; `read` gives "" for one that does not exist."""

    names: Sequence[str]
    read: Callable[[str], str]

    def __contains__(self, name: str) -> bool:
        return name in self.names


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What was recognised, and the lines that fit. `notes` is what a person still has to do."""

    title: str
    lines: tuple[str, ...]
    settings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def detect(files: Files) -> Fit:
    """What fits these files; raises PikuError when nothing is recognised."""
    for name, rule in _RULES:
        if name in files:
            fit = rule(files)
            break
    else:
        fit = _php_or_static(files) or _python(files)
    if fit is None:
        raise PikuError(
            "cannot tell what starts this app",
            hint="write a Procfile yourself, with a line such as: web: python3 server.py"
            "\nthe program must listen on the port $PORT, at the address $BIND_ADDRESS",
        )
    return fit


def _php_or_static(files: Files) -> Fit | None:
    for kind, title, page, folders in (
        ("php", "PHP", "index.php", (".", "public", "web")),
        ("static", "Static site", "index.html", (".", "public", "dist", "build", "_site", "docs")),
    ):
        for folder in folders:
            if (page if folder == "." else f"{folder}/{page}") in files:
                return Fit(title=title, lines=(f"{kind}: {folder}",))
    return None


# --- Python --------------------------------------------------------------------------------------

_ENTRY_NAMES = ("wsgi", "app", "main", "application", "server", "api", "run")
_DJANGO = re.compile(r"DJANGO_SETTINGS_MODULE['\"]\s*,\s*['\"](\w+)")
_WSGI = r"^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?(Flask|Bottle|Falcon|App)\("
_ASGI = r"^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?(FastAPI|Starlette|Litestar|Quart)\("
_FACTORY = r"^def (create_app|make_app)\("
_FUNCTION = r"^def (application|app)\(environ"


def _python(files: Files) -> Fit | None:
    if "manage.py" in files and (settings := _DJANGO.search(files.read("manage.py"))):
        return _django(files, settings[1])
    modules = [(name, files.read(path)) for name, path in _modules(files)]
    for pattern in (_ASGI, _WSGI, _FACTORY, _FUNCTION):
        for name, text in modules:
            found = re.search(pattern, text, re.MULTILINE)
            if found and pattern == _ASGI:
                return _asgi(files, f"{name}:{found[1]}", found[2])
            if found:
                title = f"Python, {found[2]}" if pattern == _WSGI else "Python, WSGI"
                call = "()" if pattern == _FACTORY else ""
                return Fit(title=title, lines=(f"wsgi: {name}:{found[1]}{call}",))
    return None


def _asgi(files: Files, application: str, framework: str) -> Fit:
    listed = any("uvicorn" in files.read(name) for name in ("requirements.txt", "pyproject.toml"))
    return Fit(
        title=f"Python, {framework}",
        lines=(f"web: uvicorn {application} --host $BIND_ADDRESS --port $PORT",),
        notes=() if listed else ("add uvicorn to the dependencies: it answers the requests",),
    )


def _django(files: Files, project: str) -> Fit:
    text = "\n".join(
        files.read(path) for path in files.names if path.startswith(f"{project}/settings")
    )
    collects = re.search(r"^STATIC_ROOT\s*=", text, re.MULTILINE)
    steps = ["python manage.py collectstatic --noinput"] if collects else []
    release = " && ".join([*steps, "python manage.py migrate --noinput"])
    served = collects and "whitenoise" not in text.lower()
    return Fit(
        title="Python, Django",
        lines=(f"wsgi: {project}.wsgi:application", f"release: {release}"),
        settings=("NGINX_STATIC_PATHS=/static:staticfiles",) if served else (),
        notes=(
            "ALLOWED_HOSTS needs the host name, and the database a place outside the checkout",
            *(["NGINX_STATIC_PATHS must name the folder in STATIC_ROOT"] if served else []),
        ),
    )


def _modules(files: Files) -> Iterator[tuple[str, str]]:
    """Python modules with their paths, the likeliest first; two folders deep, without tests."""

    def rank(path: str) -> tuple[int, int, str]:
        name = path.rpartition("/")[2].removesuffix(".py")
        likely = _ENTRY_NAMES.index(name) if name in _ENTRY_NAMES else len(_ENTRY_NAMES)
        return path.count("/"), likely, path

    shallow = (path for path in files.names if path.endswith(".py") and path.count("/") <= 2)
    for path in sorted(shallow, key=rank)[:200]:
        parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
        tests = parts[0] in ("tests", "test", "docs")
        if not tests and all(part.isidentifier() for part in parts):
            yield ".".join(parts), path


# --- other languages -----------------------------------------------------------------------------

_LISTENS = ("it must listen on the port in the variable PORT",)


def _node(files: Files) -> Fit | None:
    try:
        package = json.loads(files.read("package.json"))
    except ValueError as error:
        raise PikuError(f"package.json is not valid JSON: {error}") from None
    scripts, needs = _table(package, "scripts"), _table(package, "dependencies")
    title = "Node.js, Express" if "express" in needs else "Node.js"
    start = str(scripts.get("start", ""))
    if start:
        command = start if re.fullmatch(r"node [\w./-]+", start) else "npm start"
        return Fit(title=title, lines=(f"web: {command}",), notes=_LISTENS)
    main = str(package.get("main", "")) if isinstance(package, dict) else ""
    usual = ("server.js", "app.js", "index.js", "src/server.js", "src/index.js")
    for name in (main.removeprefix("./"), *usual):
        if name in files:
            return Fit(title=title, lines=(f"web: node {name}",), notes=_LISTENS)
    if "build" not in scripts:
        return None
    return Fit(
        title="Node.js, a site that is built", lines=("static: dist", "release: npm run build"),
        notes=("the folder after `static:` must be the one that `npm run build` writes",),
    )  # fmt: skip


def _table(document: Any, name: str) -> dict[str, Any]:
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def _ruby(files: Files) -> Fit | None:
    if "config.ru" not in files:
        return None
    if "config/application.rb" not in files:
        return Fit(title="Ruby, Rack", lines=("rwsgi: config.ru",))
    # As docs/howto/rails.md has it. The pipeline's results are in no commit: nginx can serve them
    # only if the release makes them.
    puma = re.search(r"^\s*gem\s*\(?\s*['\"]puma['\"]", files.read("Gemfile"), re.MULTILINE)
    web = "web: bundle exec puma --bind tcp://$BIND_ADDRESS:$PORT"
    assets = any(path.startswith("app/assets/") for path in files.names)
    tasks = ["db:migrate"] if "config/database.yml" in files else []
    tasks += ["assets:precompile"] if assets else []
    release = (f"release: bundle exec rake {' '.join(tasks)}",) if tasks else ()
    static = ("NGINX_STATIC_PATHS=/assets:public/assets",) if assets else ()
    return Fit(
        title="Ruby on Rails",
        lines=(web if puma else "rwsgi: config.ru", *release),
        settings=("RAILS_ENV=production", "RAILS_LOG_TO_STDOUT=1", *static),
        notes=("set SECRET_KEY_BASE or RAILS_MASTER_KEY with: piku config:set",),
    )


def _go(files: Files) -> Fit | None:
    commands = sorted(path for path in files.names if re.fullmatch(r"cmd/[^/]+/main\.go", path))
    module = re.search(r"^module\s+(\S+)", files.read("go.mod"), re.MULTILINE)
    if module and any("/" not in path and path.endswith(".go") for path in files.names):
        name = re.sub(r"/v\d+$", "", module[1]).rpartition("/")[2]
    elif commands:
        name = commands[0].split("/")[1]
    else:
        return None
    return Fit(title="Go", lines=(f"web: bin/{name}",), notes=_LISTENS)


def _rust(files: Files) -> Fit | None:
    name = re.search(r'^name\s*=\s*"([\w-]+)"', files.read("Cargo.toml"), re.MULTILINE)
    return (
        Fit(title="Rust", lines=(f"web: target/debug/{name[1]}",), notes=_LISTENS) if name else None
    )


# In the order in which the server detects them.
_RULES: tuple[tuple[str, Callable[[Files], Fit | None]], ...] = (
    ("requirements.txt", _python), ("pyproject.toml", _python), ("Gemfile", _ruby),
    ("package.json", _node), ("go.mod", _go), ("Cargo.toml", _rust),
)  # fmt: skip
