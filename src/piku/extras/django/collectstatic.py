"""Whether a push runs `manage.py collectstatic`, and what follows from its settings."""

import contextlib
import re
from collections.abc import Iterator

from piku.app import checks, settings
from piku.app.procfile import Procfile
from piku.app.settings import Setting
from piku.app.tree import Tree
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.runtimes.base import Run

_COMMAND = ("python", "manage.py", "collectstatic", "--noinput")
_PYTHON = ("python", "poetry", "uv")
_SETTINGS_FILE = re.compile(r"(?!\.\./)(.*/)?settings(/.*|[^/]*)\.py")
_STATIC_ROOT = re.compile(r"^[ \t]*STATIC_ROOT\b[^=\n]*=(.*)", re.MULTILINE)
_STATIC_URL = re.compile(r"^[ \t]*STATIC_URL\b[^=\n]*=\s*[\"']/?([\w/-]+?)/?[\"']", re.MULTILINE)
# What serves the files itself, or keeps them elsewhere.
_SERVED = re.compile(r"(?i)whitenoise|storages\.|dj_static")

DISABLED = Setting(
    name="DISABLE_COLLECTSTATIC", default="false", check=checks.boolean,
    doc="true or false (1 or 0): do not run Django's `collectstatic` during a push.",
)  # fmt: skip
SETTINGS = (DISABLED,)


def steps(deployment: Deployment) -> Iterator[Run]:
    """Collect the static files of a Django project that says where to."""
    found, app = deployment.revision, deployment.app.name
    if found.runtime.name not in _PYTHON or not needs_collecting(found.tree, found.procfile):
        return
    if DISABLED.read(found.values):
        deployment.output.step(f"Static files are not collected: {DISABLED.name} is set")
        return
    deployment.output.step(f"Static files: {' '.join(_COMMAND)}")
    yield Run(
        argv=_COMMAND,
        hint="see its output above: the settings must load during the build\n"
        f"to go without: piku config:set {app} {DISABLED.name}=1",
    )
    if not settings.STATIC_PATHS.read(found.values) and (line := serving_line(found.tree)):
        deployment.output.warn(f"Nothing serves the static files yet; let nginx do it: {line}")


def needs_collecting(tree: Tree, procfile: Procfile) -> bool:
    """Whether there is something to collect, a place to collect it to, and no command of the app's
    own that does it."""
    if "DJANGO_SETTINGS_MODULE" not in tree.read("manage.py"):
        return False
    text = _settings_text(tree)
    return (
        bool(_STATIC_ROOT.search(text))
        and "django.contrib.staticfiles" in text
        and not any(_collects(entry.command, tree) for entry in procfile.entries.values())
    )


def _collects(command: str, tree: Tree) -> bool:
    """Whether a command, or a script of the repository that it runs, collects them."""
    scripts = (_text(tree, word.removeprefix("./")) for word in command.split())
    return any("collectstatic" in text for text in (command, *scripts))


def _text(tree: Tree, path: str) -> str:
    with contextlib.suppress(PikuError):  # a program, too large to read
        return tree.read(path)
    return ""


def serving_line(tree: Tree) -> str:
    """The setting with which nginx serves the files; empty when something else does."""
    text = _settings_text(tree)
    place = _STATIC_ROOT.search(text)
    if _SERVED.search(text) or place is None:
        return ""
    folder = "/".join(re.findall(r"[\"']([\w./-]+)[\"']", place[1])) or "staticfiles"
    url = _STATIC_URL.search(text)
    return f"{settings.STATIC_PATHS.name}=/{url[1] if url else 'static'}:{folder}"


def _settings_text(tree: Tree) -> str:
    return "\n".join(tree.read(path) for path in tree.files if _SETTINGS_FILE.fullmatch(path))
