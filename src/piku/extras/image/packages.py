"""Which Debian packages an app's processes need when they run."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from piku import subprocesses
from piku.app.settings import Setting
from piku.deploy.revision import Revision
from piku.runtimes import python
from piku.uwsgi.ini import Pairs

# What every image has: certificate authorities, time zones, and a first process that reaps.
ALWAYS = ("ca-certificates", "tini", "tzdata")
# The program that runs what a runtime built; what only builds is not in the image.
_RUNS = {
    **dict.fromkeys(("python", "poetry", "uv", "pdm", "hatch"), "python3"),
    **dict.fromkeys(("maven", "gradle", "clojure", "lein"), "java"),
    **{name: name for name in ("elixir", "node", "php", "ruby")},
}


def names(text: str) -> tuple[str, ...]:
    """Names of Debian packages, separated by commas."""
    found = tuple(filter(None, map(str.strip, text.split(","))))
    if wrong := [name for name in found if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name)]:
        raise ValueError(f"{wrong[0]!r} is not the name of a Debian package")
    return found


PACKAGES = Setting(
    name="PIKU_IMAGE_PACKAGES",
    check=names,
    doc="Debian packages to add to those that piku finds for an app's image: libpq5,ffmpeg.",
)
SETTINGS: tuple[Setting[Any], ...] = (PACKAGES,)


def needed(found: Revision, language: Pairs) -> list[str]:
    """What the image must have, sorted: files of programs and of uWSGI's plugins, and the names of
    packages that the app asks for. `language` are the options of what uWSGI serves."""
    commands = " ".join(entry.command for entry in found.procfile.entries.values())
    words = re.findall(r"(?<![\w./-])(?:/usr/bin/|/bin/)?[A-Za-z][\w.+-]*", commands)
    words += [_RUNS.get(found.runtime.name, ""), "uwsgi" if language else ""]
    programs = (subprocesses.which(word, subprocesses.SYSTEM_PATH) for word in words if word)
    wanted = (str(value).split(",") for name, value in language if name == "plugins")
    plugins = (str(python.PLUGINS / f"{name}_plugin.so") for some in wanted for name in some)
    return sorted({*filter(None, programs), *plugins, *PACKAGES.read(found.values)})


def of(needed: Iterable[str]) -> list[str]:
    """The names of the packages, sorted; a file that belongs to none is left out."""
    paths = {path for path in needed if path.startswith("/")}
    # dpkg may know a program by its link or its file, and from before /bin was a link.
    paths |= {str(Path(path).resolve()) for path in paths}
    paths |= {path.removeprefix("/usr") for path in paths}
    listing = subprocesses.run(["dpkg-query", "-S", *sorted(paths)], check=False) if paths else ""
    owners = re.findall(r"^([a-z0-9.+-]+)(?::\w+)?: /", listing, re.MULTILINE)
    # Debian's `-minimal` Pythons lack parts of the standard library.
    found = {name.removesuffix("-minimal") for name in owners}
    named = {one for one in needed if not one.startswith("/")}
    return sorted({*ALWAYS, *named, *(found - essential())})


def essential() -> set[str]:
    """The packages that no Debian is without."""
    listing = subprocesses.run(["dpkg-query", "-W", "-f", "${Essential} ${Package}\n"])
    return set(re.findall(r"^yes (\S+)$", listing, re.MULTILINE))
