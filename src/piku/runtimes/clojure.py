"""Clojure with the Clojure CLI or with Leiningen: built in each checkout, libraries in ~/.m2."""

import re
from collections.abc import Iterator
from pathlib import Path

from piku.runtimes.base import Context, Run, Runtime, real_program

_SETTINGS = ("CLJ_CONFIG", "LEIN_HOME", "JAVA_HOME")
_CLI_FILES = re.compile(r"(.*/)?deps\.edn")
_LEIN_FILES = re.compile(r"(project|profiles)\.clj|checkouts/.*")


def _key(context: Context, files: re.Pattern[str]) -> str:
    settings = context.chosen(_SETTINGS.__contains__)
    counted = filter(files.fullmatch, context.tree.files)
    return "\n".join((real_program("java"), *settings, *context.digests(counted)))


def _cli_build(_context: Context) -> Iterator[Run]:
    yield Run(argv=("clojure", "-P"))
    yield Run(argv=("clojure", "-P", "-T:build"))


CLOJURE = Runtime(
    name="clojure",
    title="Clojure CLI",
    detect=lambda tree, _procfile: "deps.edn" in tree.files,
    requires=(("java",), ("clojure",)),
    key=lambda context: _key(context, _CLI_FILES),
    build=_cli_build,
    compile=lambda _context: iter((Run(argv=("clojure", "-T:build", "release")),)),
    env=lambda _context: {"CLJ_CONFIG": str(Path.home() / ".clojure")},
)
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
