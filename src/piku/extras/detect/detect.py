"""Which lines of a Procfile fit a checkout. Pure: it looks at files, and proposes."""

import re
import shlex
from collections.abc import Callable
from dataclasses import replace

from piku.errors import PikuError
from piku.extras.detect import node
from piku.extras.detect.fit import LISTENS, Files, Fit, document, search, table
from piku.extras.detect.python import DJANGO, python

__all__ = ["Files", "Fit", "detect", "how_to_add"]


def detect(files: Files) -> Fit:
    """What fits these files; raises PikuError with a line to add when nothing is recognised."""
    for rule in _RULES:
        if fit := rule(files):
            return fit
    reason, lines = _advice(files)
    raise PikuError(reason, hint=how_to_add(lines))


def how_to_add(lines: tuple[str, ...]) -> str:
    """What a person is told to do with lines that were not sure enough to be used."""
    indented = (f"  {line}" for line in lines)
    return "\n".join(("commit a file named Procfile with the right line, such as:", *indented))


def _ruby(files: Files) -> Fit | None:
    gems = re.findall(r"^\s*gem\s*\(?\s*['\"]([\w-]+)['\"]", files.read("Gemfile"), re.MULTILINE)
    puma = "web: bundle exec puma --bind tcp://$BIND_ADDRESS:$PORT"
    web, because = puma if "puma" in gems else "rwsgi: config.ru", "as config.ru says"
    if "config.ru" not in files:
        serves = search(r"^require ['\"]sinatra['\"]", files.read("app.rb"))
        web, because = "web: bundle exec ruby app.rb -o $BIND_ADDRESS -p $PORT", "as app.rb says"
        return Fit(title="Ruby, Sinatra", lines=(web,), because=because) if serves else None
    missing = "" if "Gemfile" in files else "no Gemfile either: add one that names rack"
    fit = Fit(title="Ruby, Rack", lines=(web,), because=because, missing=missing)
    if "config/application.rb" not in files:
        return fit
    # As docs/howto/rails.md has it. The pipeline's results are in no commit: nginx can serve them
    # only if the release makes them.
    assets = any(path.startswith("app/assets/") for path in files.names)
    tasks = ["db:migrate"] if "config/database.yml" in files else []
    tasks += ["assets:precompile"] if assets else []
    release = (f"release: bundle exec rake {' '.join(tasks)}",) if tasks else ()
    static = ("NGINX_STATIC_PATHS=/assets:public/assets",) if assets else ()
    return replace(
        fit,
        title="Ruby on Rails",
        lines=(web, *release),
        settings=("RAILS_ENV=production", "RAILS_LOG_TO_STDOUT=1", *static),
        notes=("set SECRET_KEY_BASE or RAILS_MASTER_KEY with: piku config:set",),
    )


def _go(files: Files) -> Fit | None:
    """The program at the top, else the one in cmd."""
    module = search(r"^module\s+\"?([^\s\"]+)", files.read("go.mod"))
    own = [path for path in files.names if re.fullmatch(r"[^/]+(?<!_test)\.go", path)]
    missing = "" if module else "no go.mod either: go mod init example.com/app"
    if any(search(r"^package main\b", files.read(path)) for path in own):
        name = re.sub(r"/v\d+$", "", module[1]).rpartition("/")[2] if module else "app"
    else:
        own = sorted(path for path in files.names if re.fullmatch(r"cmd/[^/]+/main\.go", path))
        if not own:
            return None
        name = own[0].split("/")[1]
        missing = missing or (f"cmd has more programs than {name}" if len(own) > 1 else "")
    return Fit(
        title="Go", lines=(f"web: bin/{name}",), because="as go.mod says", missing=missing,
        notes=(LISTENS,),
    )  # fmt: skip


def _rust(files: Files) -> Fit | None:
    found = document(files, "Cargo.toml")
    package, binaries = table(found, "package"), found.get("bin")
    own = [str(one.get("name")) for one in binaries or () if isinstance(one, dict)]
    own += [str(package.get("name"))] if "src/main.rs" in files else []
    name = str(package.get("default-run") or next(iter(own), ""))
    if not re.fullmatch(r"[\w-]+", name):
        return None
    lines = (f"web: target/debug/{name}",)
    return Fit(title="Rust", lines=lines, because="as Cargo.toml says", notes=(LISTENS,))


# --- files that are served as they are, or once they are made ------------------------------------


def _page(files: Files, name: str, *folders: str) -> tuple[str, str]:
    """The first of these folders with such a file, and that file."""
    places = {folder or ".": f"{folder}/{name}".lstrip("/") for folder in folders}
    return next(((folder, path) for folder, path in places.items() if path in files), ("", ""))


def _php(files: Files) -> Fit | None:
    folder, page = _page(files, "index.php", "", "public", "web")
    needs = any("/" in name for name in table(document(files, "composer.json"), "require"))
    installed = any(name.startswith("vendor/") for name in files.names)
    composer = "release: composer install --no-dev --no-interaction"
    lines = (f"php: {folder}", *([composer] if needs and not installed else []))
    return Fit(title="PHP", lines=lines, because=f"because of {page}") if page else None


# What a generator's configuration is called, and where it writes.
_GENERATORS = (
    ("Hugo", r"hugo\.(toml|yaml|json)", "public"),
    ("MkDocs", r"mkdocs\.ya?ml", "site"),
    ("Jekyll", r"_config\.ya?ml", "_site"),
    ("Eleventy", r"\.eleventy\.js|eleventy\.config\.[cm]?js", "_site"),
)


def _generated(files: Files) -> Fit | None:
    tops = [name for name in files.names if "/" not in name]
    for title, pattern, folder in _GENERATORS:
        if name := next((name for name in tops if re.fullmatch(pattern, name)), ""):
            return _site(title, folder, name)
    # What Hugo used to call it, and Zola does.
    name = next((name for name in tops if re.fullmatch(r"config\.(toml|ya?ml|json)", name)), "")
    if name and any(path.startswith("content/") for path in files.names):
        zola = search(r"^base_url\s*=", files.read(name))
        return _site("Zola" if zola else "Hugo", "public", name)
    return None


def _static(files: Files) -> Fit | None:
    """Pages, unless there is a program of which they may be a part."""
    program = any(name in files for name in (*_PROGRAMS, *_OTHERS))
    folder, page = _page(files, "index.html", "", "public", "dist", "build", "_site", "docs")
    return _site("Static site", folder, page) if page and not program else None


def _site(title: str, folder: str, name: str) -> Fit:
    return Fit(title=title, lines=(f"static: {folder}",), because=f"because of {name}")


_PROGRAMS = ("requirements.txt", "pyproject.toml", "Gemfile", "go.mod", "Cargo.toml")
# Files that do not say what runs, with a line that often fits.
_OTHERS = {
    "pom.xml": "web: java -Dserver.port=$PORT -jar target/NAME.jar",
    **dict.fromkeys(("build.gradle", "build.gradle.kts"), "web: java -jar build/libs/NAME.jar"),
    **dict.fromkeys(("project.clj", "deps.edn"), "web: java -jar target/NAME.jar"),
    "mix.exs": "web: mix phx.server",
    "deno.json": "web: deno run --allow-net --allow-env main.ts",
}


def _advice(files: Files) -> tuple[str, tuple[str, ...]]:
    """Why nothing runs by itself, and the line that is the likeliest."""
    if command := _docker_command(files):
        return "only the Dockerfile, which is not used, says what runs", (f"web: {command}",)
    for name, line in _OTHERS.items():
        if name in files:
            return f"{name} does not say what starts this app", (line,)
    for folder in (name.removesuffix("/manage.py") for name in files.names):
        if named := search(DJANGO, files.read(f"{folder}/manage.py")):
            line = f"web: gunicorn --chdir {folder} {named[1]}.wsgi --bind $BIND_ADDRESS:$PORT"
            return f"manage.py is in {folder}", (line,)
    if script := next((name for name in ("main.py", "app.py", "bot.py") if name in files), ""):
        reason = f"{script} may answer requests (web) or not (worker)"
        return reason, (f"web: python3 {script}",)
    return "nothing here says what starts this app", ("web: COMMAND",)


def _docker_command(files: Files) -> str:
    found = re.findall(r"^(?:CMD|ENTRYPOINT)\s+(.+)$", files.read("Dockerfile"), re.MULTILINE)
    text = found[-1].strip() if found else ""
    return shlex.join(re.findall(r'"([^"]*)"', text)) if text.startswith("[") else text


def _first(files: Files) -> Fit | None:
    """What counts although there may be a package.json, for its pages."""
    if "composer.json" in files and (fit := _php(files)):
        return fit
    named = ("requirements.txt", "pyproject.toml", "manage.py")
    return python(files) if any(name in files for name in named) else None


# In the order in which the server detects languages, and what is sure first.
_RULES: tuple[Callable[[Files], Fit | None], ...] = (
    _first, _ruby, node.start, _go, _rust, _php, python, _generated, node.other, _static,
)  # fmt: skip
