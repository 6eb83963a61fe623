"""Fetching a version of a language by the tool that keeps it, for all apps of the server.

Each tool puts a version in place whole or not at all. A link with the name that was asked for is
made last, so that half a download is never used, and a version that is there is not fetched again.
"""

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from piku import subprocesses
from piku.deploy import revision
from piku.errors import PikuError
from piku.paths import Paths
from piku.runtimes.base import Context, Run, search_path

_GO_MODULE = "golang.org/toolchain"
# Not in the checkout, where uv would read its own settings, and whose go.mod this Go cannot read.
_Run = partial(Run, shared=True, cwd=Path("/"))


def place(context: Context, name: str) -> Path:
    return context.cache.parent / "@runtimes" / name


# --- Python --------------------------------------------------------------------------------------


def python(context: Context, request: str, program: Path) -> Iterator[Run]:
    """One of uv's own Pythons, so that `program` is there."""
    if not program.exists():
        yield from _uv(context)
        folder = place(context, "python")
        own = {"UV_PYTHON_INSTALL_DIR": str(folder), "UV_NO_PROGRESS": "1"}
        argv = (_uv_program(context), "python", "install", "--no-bin", request)
        yield _Run(argv=argv, env=own, say=f"Python {request}: uv fetches it")
        # The shortest is uv's link to the newest patch release.
        found = sorted(folder.glob(f"cpython-{request}[.-]*"), key=lambda path: len(str(path)))
        said = [subprocesses.run([str(one / "bin" / program.name), "--version"]) for one in found]
        got = said[0].strip() if said else "nothing"
        if not f"{got}.".startswith(f"Python {request}."):
            raise PikuError(f"Python {request} was asked for, and what uv fetched is {got}")
        yield _Run(argv=("ln", "-sfn", str(found[0]), str(program.parents[1])))
    yield _Run(argv=(str(program), "--version"))


def _uv_program(context: Context) -> str:
    return subprocesses.which("uv", search_path()) or str(place(context, "uv") / "bin" / "uv")


def _uv(context: Context) -> Iterator[Run]:
    """uv from PyPI, where the server has none."""
    if (program := Path(_uv_program(context))).exists():
        return
    own = place(context, f"uv.{context.cache.name}")  # of this app, of which one build runs
    yield _Run(argv=("rm", "-rf", str(own)))
    yield _Run(argv=("virtualenv", "--quiet", "--app-data", str(own / "seeds"), str(own)))
    pip = (str(own / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "uv")
    yield _Run(argv=pip, say="uv, which fetches Pythons: from PyPI")
    # Another app may have been first.
    yield _Run(argv=("mv", "-T", str(own), str(program.parents[1])), optional=True)


# --- Go ------------------------------------------------------------------------------------------


def go(request: str, root: Path) -> Iterator[Run]:
    """A toolchain as Go's module proxies have it, which any Go verifies and unpacks."""
    cache = root.with_name("go")
    own = {"GOMODCACHE": str(cache), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
    if not (root / "bin" / "go").exists():
        module = f"{_GO_MODULE}@v0.0.1-go{_newest(request, own)}.linux-{_machine()}"
        yield _Run(argv=("go", "mod", "download", module), env=own, say=f"Go {request}: {module}")
        found = cache / module  # which has no executable files
        yield _Run(argv=("chmod", "-R", "u+x", str(found / "bin"), str(found / "pkg" / "tool")))
        yield _Run(argv=("ln", "-sfn", str(found), str(root)))
    yield _Run(argv=(str(root / "bin" / "go"), "version"), env=own)


def _newest(request: str, own: dict[str, str]) -> str:
    """A whole version: of 1.22 the newest patch release, as Go itself would take."""
    if request.count(".") == 2:
        return request
    server = revision.layered(Paths.from_environment(os.environ), {})
    env = {**subprocesses.environment(), "PATH": search_path(), **server, **own}
    argv = ("go", "list", "-m", "-versions", _GO_MODULE)
    listing = subprocesses.run(argv, cwd=Path("/"), env=env)
    patches = re.findall(rf"-go{re.escape(request)}\.(\d+)\.linux-{_machine()}\b", listing)
    return f"{request}.{max(map(int, patches), default=0)}"


def _machine() -> str:
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "armv6l"}.get(machine, machine)
