"""Go: modules or plain files. Programs are built into the release's bin/, which is on PATH."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from piku.app.procfile import Procfile
from piku.app.tree import Tree
from piku.runtimes.base import Context, Run, Runtime, parse, real_program

_GODEPS = "Godeps/Godeps.json"
_COUNTED = ("go.mod", "go.sum", "go.work", "go.work.sum", "vendor/modules.txt", _GODEPS)
_TIDY = ("go", "mod", "tidy")


def _detect(tree: Tree, _procfile: Procfile) -> bool:
    return any(re.fullmatch(r"go\.mod|[^/]+\.go|Godeps(/.*)?", path) for path in tree.files)


def _key(context: Context) -> str:
    return "\n".join((real_program("go"), *context.digests(context.tree.above(*_COUNTED))))


def _build(context: Context) -> Iterator[Run]:
    if context.tree.above("go.sum") and not context.tree.above("vendor/modules.txt"):
        yield Run(argv=("go", "mod", "download"), say="go mod download")


def _compile(context: Context) -> Iterator[Run]:
    above = context.tree.above
    if not any(path.endswith(".go") for path in context.tree.files):
        return
    build = ["go", "build", "-o", "bin/"]
    if not above("go.mod"):
        say = "There is no go.mod: this release gets one, with the newest of what it imports"
        yield Run(argv=("go", "mod", "init", "--", _import_path(context)), say=say)
        yield Run(argv=_TIDY, say="go mod tidy")
        build.append("-mod=mod")  # what Godeps put into vendor/ does not count
    elif not above("vendor/modules.txt", "go.work"):
        # Offline, the committed sums may be enough.
        yield Run(argv=_TIDY, say="go mod tidy", optional=bool(above("go.sum")))
    yield Run(argv=(*build, "./..."), say="go build ./...")


def _import_path(context: Context) -> str:
    """What the module is called: as Godeps has it, else as the app."""
    return str(parse(context.tree, _GODEPS, json.loads).get("ImportPath", context.cache.name))


def _env(context: Context) -> Mapping[str, str]:
    # A GOPATH that the server's administrator filled saves the downloads.
    ready, root = context.cache.parent.parent / "gopath", Path(real_program("go")).parent.parent
    proxy = f"file://{ready}/pkg/mod/cache/download,https://proxy.golang.org,direct"
    return {
        "GOPATH": f"{context.environment}:{ready}" if ready.is_dir() else str(context.environment),
        "GOMODCACHE": str(context.cache / "go" / "mod"),
        "GOFLAGS": "-modcacherw",
        "GO15VENDOREXPERIMENT": "1",
        **({"GOROOT": str(root)} if (root / "VERSION").is_file() else {}),
        **({"GOPROXY": proxy} if ready.is_dir() else {}),
    }


GO = Runtime(
    name="go",
    title="Go",
    detect=_detect,
    requires=(("go",),),
    key=_key,
    build=_build,
    compile=_compile,
    env=_env,
    path=lambda context: (context.environment / "bin", context.checkout / "bin"),
)
