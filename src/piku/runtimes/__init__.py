"""The table of runtimes, in the specification's order of detection.

A runtime is a row (`base.Runtime`) of functions: how its apps are recognised, what it needs, and
the programs that build them. `select` chooses the row; deploy/build.py runs what it yields.
"""

from piku import subprocesses
from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.extra import hooks
from piku.runtimes.base import Runtime, how_to_install
from piku.runtimes.clojure import CLOJURE, LEIN
from piku.runtimes.go import GO
from piku.runtimes.java import GRADLE, MAVEN
from piku.runtimes.node import NODE
from piku.runtimes.python import PIP, POETRY, UV
from piku.runtimes.ruby import RUBY
from piku.runtimes.rust import RUST

# uWSGI runs PHP itself: there is nothing to build.
PHP = Runtime(name="php", title="PHP", detect=lambda _tree, procfile: "php" in procfile)
GENERIC = Runtime(
    name="generic",
    title="Generic app",
    detect=lambda _tree, procfile: "web" in procfile and "release" in procfile,
)
STATIC = Runtime(
    name="static", title="Static site", detect=lambda _tree, procfile: "static" in procfile
)
# A Procfile that says what to run is enough.
PLAIN = Runtime(
    name="plain",
    title="No requirements.txt, package.json or the like: nothing to build",
    detect=lambda _tree, _procfile: True,
)

RUNTIMES = (
    PIP, POETRY, UV, RUBY, NODE, MAVEN, GRADLE, GO, CLOJURE, LEIN, PHP, RUST,
    GENERIC, STATIC, PLAIN,
)  # fmt: skip


def select(tree: Tree, procfile: Procfile, path: str | None = None) -> Runtime:
    """The first runtime that matches; raises PikuError when its programs are not in `path`."""
    rows = (*(row for more in hooks("runtimes") for row in more), *RUNTIMES)
    runtime: Runtime = next(row for row in rows if row.detect(tree, procfile))
    missing = [
        group
        for group in runtime.requires
        if not any(subprocesses.which(program, path) for program in group)
    ]
    if missing:
        names = ", ".join(" or ".join(group) for group in missing)
        how = runtime.install or how_to_install([group[0] for group in missing])
        raise PikuError(
            f"this is a {runtime.title} app, and this server lacks: {names}",
            hint=f"install with: {how}",
        )
    return runtime
