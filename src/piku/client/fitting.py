"""Which Procfile and ENV fit a checkout. Pure: it looks, and proposes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from piku.app import procfile
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.runtimes import GENERIC, PHP, PLAIN, RUNTIMES, STATIC
from piku.runtimes.base import Runtime

_ENTRY_NAMES = ("wsgi", "app", "main", "application", "server", "api", "run")
_MOST_FILES = 200  # as many modules are read to find the one that has the app
_PAGES = ("public", "dist", "build", "site", "_site", "docs", "www", "static")


@dataclass(frozen=True, kw_only=True)
class Fit:
    """What was recognised, and the lines that fit. `notes` is what a person still has to see to."""

    title: str
    lines: tuple[str, ...]
    settings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def fit(tree: Tree) -> Fit:
    """What fits these files; raises PikuError when nothing is recognised."""
    runtime = _runtime(tree)
    found = _BY_RUNTIME[runtime.name](tree) if runtime else _without_runtime(tree)
    if found is None:
        raise PikuError(
            f"this is {_article(runtime.title)}, but what starts it is not to be seen"
            if runtime
            else "it is not to be seen what this checkout is",
            hint="write a Procfile yourself, with a line such as: web: python3 server.py"
            "\nthe program listens on the port $PORT, at the address $BIND_ADDRESS",
        )
    return found


def _article(title: str) -> str:
    return f"a {title} app"


def _runtime(tree: Tree) -> Runtime | None:
    """As on the server, but for those that only a Procfile tells apart."""
    empty = procfile.Procfile(entries={})
    rows = (row for row in RUNTIMES if row not in (PHP, GENERIC, STATIC, PLAIN))
    return next((row for row in rows if row.detect(tree, empty)), None)


def _without_runtime(tree: Tree) -> Fit | None:
    for folder in ("public", "web", "."):
        if _at(folder, "index.php") in tree.files:
            return Fit(title="PHP", lines=(f"php: {folder}",))
    for folder in (".", *_PAGES):
        if _at(folder, "index.html") in tree.files:
            return Fit(title="Static site", lines=(f"static: {folder}",))
    # Python without a single dependency.
    return _python(tree) if any(name.endswith(".py") for name in tree.files) else None


def _at(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


# --- Python --------------------------------------------------------------------------------------

_DJANGO = re.compile(r"DJANGO_SETTINGS_MODULE['\"]\s*,\s*['\"]([\w.]+)['\"]")
_WSGI = re.compile(r"^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?(Flask|Bottle|Falcon|App)\(", re.MULTILINE)
_ASGI = re.compile(
    r"^(\w+)\s*(?::[^=\n]+)?=\s*(?:\w+\.)?(FastAPI|Starlette|Litestar|Quart)\(", re.MULTILINE
)
_FACTORY = re.compile(
    r"^def (create_app|make_app)\(\s*(?:\w+\s*(?::[^=,)]+)?=[^,)]*,?\s*)*\)", re.MULTILINE
)


def _python(tree: Tree) -> Fit | None:
    if "manage.py" in tree.files and (settings := _DJANGO.search(tree.read("manage.py"))):
        return _django(tree, settings[1])
    for module, text in _modules(tree):
        if found := _ASGI.search(text):
            server = f"uvicorn {module}:{found[1]} --host $BIND_ADDRESS --port $PORT"
            return Fit(
                title=f"Python, {found[2]}",
                lines=(f"web: {server}",),
                notes=tuple(_wanted(tree, "uvicorn")),
            )
        if found := _WSGI.search(text):
            return Fit(title=f"Python, {found[2]}", lines=(f"wsgi: {module}:{found[1]}",))
    for module, text in _modules(tree):
        if found := _FACTORY.search(text):
            return Fit(title="Python, Flask", lines=(f"wsgi: {module}:{found[1]}()",))
        if re.search(r"^def (application|app)\(environ", text, re.MULTILINE):
            name = "application" if "def application(" in text else "app"
            return Fit(title="Python, WSGI", lines=(f"wsgi: {module}:{name}",))
    return None


def _django(tree: Tree, settings: str) -> Fit:
    project = settings.partition(".")[0]
    text = "\n".join(
        tree.read(path) for path in tree.files
        if path == f"{project}/settings.py" or path.startswith(f"{project}/settings/")
    )  # fmt: skip
    steps = ["python manage.py migrate --noinput"]
    static: tuple[str, ...] = ()
    if re.search(r"^STATIC_ROOT\s*=", text, re.MULTILINE):
        steps.insert(0, "python manage.py collectstatic --noinput")
        if "whitenoise" not in text.lower():
            static = ("NGINX_STATIC_PATHS=/static:staticfiles",)
    notes = [
        "ALLOWED_HOSTS in its settings has to have the host name, and the database to be outside the checkout"
    ]
    if "staticfiles" not in text and static:
        notes.append("NGINX_STATIC_PATHS has to name the folder that STATIC_ROOT is")
    return Fit(
        title="Python, Django",
        lines=(f"wsgi: {project}.wsgi:application", f"release: {' && '.join(steps)}"),
        settings=static,
        notes=tuple(notes),
    )


def _modules(tree: Tree) -> Iterator[tuple[str, str]]:
    """Python modules by their names, the likeliest first: up to two folders deep, and no tests."""
    paths = [
        path for path in tree.files
        if path.endswith(".py") and path.count("/") <= 2 and not re.search(r"(^|/)(tests?|docs|\.)", path)
    ][:_MOST_FILES]  # fmt: skip

    def rank(path: str) -> tuple[int, int, str]:
        name = path.rpartition("/")[2].removesuffix(".py")
        likely = _ENTRY_NAMES.index(name) if name in _ENTRY_NAMES else len(_ENTRY_NAMES)
        return path.count("/"), likely, path

    for path in sorted(paths, key=rank):
        parts = path.removesuffix(".py").removesuffix("/__init__").split("/")
        if all(part.isidentifier() for part in parts):
            yield ".".join(parts), tree.read(path)


def _wanted(tree: Tree, package: str) -> Iterator[str]:
    """A note, when the lists of dependencies do not have the package."""
    lists = [name for name in ("requirements.txt", "pyproject.toml") if name in tree.files]
    if not any(re.search(rf"\b{package}\b", tree.read(name)) for name in lists):
        yield f"add {package} to {lists[0] if lists else 'requirements.txt'}: it is what answers requests"


# --- other languages -----------------------------------------------------------------------------


def _node(tree: Tree) -> Fit | None:
    try:
        package = json.loads(tree.read("package.json"))
    except ValueError as error:
        raise PikuError(f"package.json is not valid JSON: {error}") from None
    scripts, needs = _table(package, "scripts"), _table(package, "dependencies")
    title = "Node.js, Express" if "express" in needs else "Node.js"
    notes = ("it has to listen on process.env.PORT",)
    start = str(scripts.get("start", ""))
    if re.fullmatch(r"node [\w./-]+", start):
        return Fit(title=title, lines=(f"web: {start}",), notes=notes)
    if start:
        return Fit(title=title, lines=("web: npm start",), notes=notes)
    names = [
        str(_table({"": package}, "").get("main", "")),
        "server.js",
        "app.js",
        "index.js",
        "src/server.js",
        "src/index.js",
    ]
    for name in (name.removeprefix("./") for name in names):
        if name in tree.files:
            return Fit(title=title, lines=(f"web: node {name}",), notes=notes)
    if "build" in scripts:
        return Fit(
            title="Node.js, a site that is built", lines=("static: dist", "release: npm run build"),
            notes=("the folder after `static:` has to be the one that `npm run build` writes",),
        )  # fmt: skip
    return None


def _table(document: object, name: str) -> dict[str, object]:
    found = document.get(name) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def _ruby(tree: Tree) -> Fit | None:
    if "config/application.rb" in tree.files and "config.ru" in tree.files:
        return _rails(tree)
    return (
        Fit(title="Ruby, Rack", lines=("rwsgi: config.ru",)) if "config.ru" in tree.files else None
    )


def _rails(tree: Tree) -> Fit:
    """As docs/howto/rails.md has it."""
    puma = re.search(r"^\s*gem\s*\(?\s*['\"]puma['\"]", tree.read("Gemfile"), re.MULTILINE)
    serving = (
        "web: bundle exec puma --bind tcp://$BIND_ADDRESS:$PORT" if puma else "rwsgi: config.ru"
    )
    # The pipeline's results are in no commit: what nginx is to serve has to be made first.
    assets = any(path.startswith("app/assets/") for path in tree.files)
    tasks = [
        *(["db:migrate"] if "config/database.yml" in tree.files else []),
        *(["assets:precompile"] if assets else []),
    ]
    return Fit(
        title="Ruby on Rails",
        lines=(serving, *([f"release: bundle exec rake {' '.join(tasks)}"] if tasks else [])),
        settings=(
            "RAILS_ENV=production",
            "RAILS_LOG_TO_STDOUT=1",
            *(["NGINX_STATIC_PATHS=/assets:public/assets"] if assets else []),
        ),
        notes=("set SECRET_KEY_BASE or RAILS_MASTER_KEY with: piku config:set",),
    )


def _go(tree: Tree) -> Fit | None:
    mains = [path for path in tree.files if re.fullmatch(r"cmd/[^/]+/main\.go", path)]
    module = re.search(r"^module\s+(\S+)", tree.read("go.mod"), re.MULTILINE)
    here = any("/" not in path and path.endswith(".go") for path in tree.files)
    if here and module:
        name = re.sub(r"/v\d+$", "", module[1]).rpartition("/")[2]
    elif mains:
        name = sorted(mains)[0].split("/")[1]
    else:
        return None
    return Fit(
        title="Go",
        lines=(f"web: bin/{name}",),
        notes=("it has to listen on the port in the variable PORT",),
    )


def _rust(tree: Tree) -> Fit | None:
    found = re.search(r'^name\s*=\s*"([\w-]+)"', tree.read("Cargo.toml"), re.MULTILINE)
    if found is None:
        return None
    return Fit(
        title="Rust", lines=(f"web: target/debug/{found[1]}",), notes=("it has to listen on the port in the variable PORT",)
    )  # fmt: skip


def _unknown(_tree: Tree) -> Fit | None:
    return None


_BY_RUNTIME: dict[str, Callable[[Tree], Fit | None]] = {
    row.name: _unknown for row in RUNTIMES
} | {
    "python": _python, "poetry": _python, "uv": _python, "node": _node, "ruby": _ruby, "go": _go, "rust": _rust,
}  # fmt: skip
