"""The table of runtimes, in the specification's order of detection, and the choice from it."""

from __future__ import annotations

from piku import effects
from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.runtimes.base import Runtime
from piku.runtimes.python import PIP

GENERIC = Runtime(
    name="generic",
    title="Generic app",
    detect=lambda _tree, procfile: "web" in procfile and "release" in procfile,
)
STATIC = Runtime(name="static", title="Static site", detect=lambda _tree, procfile: "static" in procfile)

# A Procfile that says what to run is enough: no build, no environment.
PLAIN = Runtime(name="plain", title="App without a build", detect=lambda _tree, _procfile: True)

RUNTIMES = (PIP, GENERIC, STATIC, PLAIN)


def select(tree: Tree, procfile: Procfile) -> Runtime:
    """The first runtime that matches; raises PikuError when its programs are not installed."""
    runtime = next(row for row in RUNTIMES if row.detect(tree, procfile))
    missing = [group for group in runtime.requires if not any(effects.which(program) for program in group)]
    if missing:
        names = ", ".join(" or ".join(group) for group in missing)
        raise PikuError(
            f"this is a {runtime.title} app, and this server lacks: {names}",
            hint=f"install with: apt-get install {' '.join(group[0] for group in missing)}",
        )
    return runtime
