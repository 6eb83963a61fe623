"""Clojure with the Clojure CLI or with Leiningen: built in each checkout, libraries in ~/.m2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from piku import files, subprocesses
from piku.errors import PikuError
from piku.runtimes.base import Context, Run, Runtime, real_program, search_path

_SETTINGS = ("CLJ_CONFIG", "LEIN_HOME", "JAVA_HOME")
_CLI_FILES = re.compile(r"(.*/)?deps\.edn")
_LEIN_FILES = re.compile(r"(project|profiles)\.clj|checkouts/.*")


def _key(context: Context, files: re.Pattern[str]) -> str:
    settings = context.chosen(_SETTINGS.__contains__)
    counted = filter(files.fullmatch, context.tree.files)
    return "\n".join((real_program("java"), *settings, *context.digests(counted)))


# --- the Clojure CLI -----------------------------------------------------------------------------


def _cli() -> str:
    """The Clojure CLI; raises PikuError when there is only Debian's program of that name."""
    found = subprocesses.which("clojure", search_path())
    text = files.read(Path(found)) if found else ""
    if not found or ("clojure.main" in text and "-Sdeps" not in text):
        raise PikuError(
            "this is a Clojure app with deps.edn, and this server lacks the Clojure CLI",
            hint="see https://clojure.org/guides/install_clojure; Debian's is another program",
        )
    return found


def _cli_build(_context: Context) -> Iterator[Run]:
    yield Run(argv=(_cli(), "-P"))
    yield Run(argv=(_cli(), "-P", "-T:build"))


CLOJURE = Runtime(
    name="clojure",
    title="Clojure CLI",
    detect=lambda tree, _procfile: "deps.edn" in tree.files,
    requires=(("java",),),
    key=lambda context: f"{_cli()}\n{_key(context, _CLI_FILES)}",
    build=_cli_build,
    compile=lambda _context: iter((Run(argv=(_cli(), "-T:build", "release")),)),
    env=lambda _context: {"CLJ_CONFIG": str(Path.home() / ".clojure")},
)


# --- Leiningen -----------------------------------------------------------------------------------


LEIN = Runtime(
    name="lein",
    title="Clojure (Leiningen)",
    detect=lambda tree, _procfile: "project.clj" in tree.files,
    requires=(("java",), ("lein",)),
    key=lambda context: _key(context, _LEIN_FILES),
    build=lambda _context: iter((Run(argv=("lein", "deps")),)),
    # One Java machine for both: it takes seconds to start.
    compile=lambda _context: iter((Run(argv=("lein", "do", "clean,", "uberjar")),)),
    env=lambda _context: {"LEIN_HOME": str(Path.home() / ".lein")},
)
