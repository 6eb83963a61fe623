"""What is said about pushes that cannot do what they are meant to."""

import re
from collections.abc import Iterator

from piku.app.checks import quoted
from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.runtimes.base import Run

_HEROKU_PHP = re.compile(r"(?:.*[\s/])?heroku-(?:php|hhvm)-(?:apache2|nginx)(?:\s+(.*))?")
# Its options with a file; what follows them is the document root.
_OPTIONS_WITH_FILE = ("-C", "-F", "-c", "-f", "-i", "-l", "-p")
# What virtualenv puts into each environment.
_SEEDS = frozenset(("pip", "setuptools", "wheel"))


def programs_of_heroku(deployment: Deployment) -> None:
    """Refuse a `web` line that starts one of Heroku's own web servers."""
    folder = php_folder(deployment.revision.procfile.command("web"))
    if folder is not None:
        raise PikuError(
            "the Procfile's web line starts a web server that only Heroku has",
            hint=f"here uWSGI runs PHP; replace the line by: php: {folder}",
        )


def php_folder(command: str) -> str | None:
    """The document root of a command that starts Heroku's Apache or nginx for PHP; else None."""
    found = _HEROKU_PHP.fullmatch(command)
    if found is None:
        return None
    words = iter((found[1] or "").partition("#")[0].split())
    for word in words:
        if word in _OPTIONS_WITH_FILE:
            next(words, "")
        elif not word.startswith("-"):
            return word.removeprefix("./").rstrip("/") or "."
    return "."


def nothing_required(deployment: Deployment) -> Iterator[Run]:
    """Warn when every line of requirements.txt is for another Python or system."""
    found = deployment.revision
    if found.runtime.name == "python":
        lines = lines_with_markers(found.tree.read("requirements.txt"))
        folders = found.context.environment.glob("lib/python*/site-packages/*.dist-info")
        names = {folder.name.partition("-")[0] for folder in folders}
        if lines and names <= _SEEDS:
            deployment.output.warn(
                "Nothing was installed: each line of requirements.txt is for another Python or"
                f" system, such as {quoted(lines[0])}"
            )
    yield from ()


def lines_with_markers(text: str) -> list[str]:
    """The lines of a requirements.txt if all of them have environment markers, else none."""
    stripped = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    lines = [line for line in stripped if line]
    return lines if all(";" in line for line in lines) else []
