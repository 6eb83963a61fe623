"""Go: modules, plain files, and what is left of Godeps. The programs are built into the release's bin/."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from piku import files as files_module
from piku import subprocesses
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.runtimes.base import Context, Run, Runtime

_COUNTED = ("go.mod", "go.sum", "vendor/modules.txt", "Godeps/Godeps.json")
_SETTINGS = re.compile(r"GO(FLAGS|PROXY|PRIVATE|TOOLCHAIN|EXPERIMENT|ARCH|OS|111MODULE)|CGO_\w+")
_NEWER = re.compile(r"^(?:go\s+\d+\.\d+[.a-z]\S*|toolchain\s+\S+)", re.MULTILINE)


def detect(tree: Tree) -> bool:
    """Godeps, go.mod or a Go file, each in the top folder."""
    here = {path for path in tree.files if "/" not in path}
    return "Godeps" in tree.top or "go.mod" in here or any(path.endswith(".go") for path in here)


def _root() -> Path | None:
    """Where the Go that builds is installed; None when that cannot be told from its program."""
    go = subprocesses.which("go", subprocesses.app_path(Path.home()))
    root = Path(go).resolve().parent.parent if go else Path()
    return root if (root / "VERSION").is_file() else None


def _version(root: Path | None) -> str:
    return files_module.read(root / "VERSION").split("\n")[0].removeprefix("go") if root else ""


def newer_than(version: str, module: str) -> str:
    """The line of a go.mod that this version of Go cannot even read, or nothing."""
    found = re.match(r"(\d+)\.(\d+)", version)
    old = found is not None and (int(found[1]), int(found[2])) < (1, 21)
    line = _NEWER.search(module) if old else None
    return line[0] if line else ""


def _key(context: Context) -> str:
    tree, version = context.tree, _version(_root())
    line = newer_than(version, tree.read("go.mod"))
    if line:
        raise PikuError(
            f"go.mod says `{line}`, and Go {version} of this server cannot read that",
            hint="install a newer Go (from Debian's backports, or https://go.dev/dl with a link"
            " /usr/local/bin/go to its bin/go); or make the line `go 1.19`, without `toolchain`",
        )
    if _by_path(tree) and not any(
        path.startswith(("Godeps/_workspace/", "vendor/")) for path in tree.files
    ):
        raise PikuError(
            "Godeps lists dependencies that are not in the repository, and godep no longer exists",
            hint="make it a module: `go mod init` reads Godeps (with Go up to 1.21), then `go mod tidy`,"
            " and commit go.mod and go.sum",
        )
    chosen = sorted(
        f"{key}={text}" for key, text in context.settings.items() if _SETTINGS.fullmatch(key)
    )
    return "\n".join((version, *chosen, *(f"{path} {tree.digest(path)}" for path in _COUNTED)))


def _by_path(tree: Tree) -> bool:
    """Whether packages are found by their place below GOPATH, as before there were modules."""
    return "Godeps" in tree.top and "go.mod" not in tree.files


def _build(context: Context) -> Iterator[Run]:
    yield Run(argv=("mkdir", "-p", str(context.environment)))
    if {
        "go.mod",
        "go.sum",
    } <= context.tree.files.keys() and "vendor/modules.txt" not in context.tree.files:
        yield from _tidy(context)


def _tidy(context: Context) -> Iterator[Run]:
    """`go mod tidy` on copies: what is committed is what gets built, and a difference is said."""
    scratch = context.environment / "tidy"
    copies = scratch / "go.mod", scratch / "go.sum"
    yield Run(argv=("rm", "-rf", str(scratch)))
    yield Run(argv=("mkdir", str(scratch)))
    committed = [file for file in copies if file.name in context.tree.files]
    yield Run(argv=("cp", *(file.name for file in committed), str(scratch)))
    tidy = ("go", "mod", "tidy", "-modfile", str(copies[0]))
    yield Run(argv=tidy, say="go mod tidy", optional=len(committed) == 2)
    for file in committed:
        if files_module.read(file) != files_module.read(context.checkout / file.name):
            say = f"{file.name} is not tidy, and is used as it is: commit what `go mod tidy` makes of it"
            yield Run(argv=("diff", "-U0", file.name, str(file)), say=say, optional=True)
    if copies[1] not in committed and copies[1].exists():
        yield Run(argv=("cp", str(copies[1]), "go.sum"))


def _compile(context: Context) -> Iterator[Run]:
    files = context.tree.files
    if not any(path.endswith(".go") for path in files):
        return
    if _by_path(context.tree):
        yield from _build_at(context, context.environment / "src" / _import_path(context))
        return
    if "go.mod" not in files:
        say = "There is no go.mod: this release gets one, with the newest of what it imports"
        yield Run(argv=("go", "mod", "init", context.cache.name), say=say)
        yield Run(argv=("go", "mod", "tidy"))
    elif not {"go.sum", "vendor/modules.txt"} & files.keys():
        yield from _tidy(context)
    if re.search(r"\bgo\s+run\b", context.tree.read("Procfile")):
        # It finds compiled only what was compiled where it runs.
        yield Run(argv=("go", "build", "-o", "bin/", "./..."), say="go build ./...")
        return
    # Packages count as changed when their path has: each release is compiled at the same one. It is gone
    # afterwards, so that no program opens another release's files by the names it was compiled with.
    place = context.cache / "go" / "src"
    yield from _build_at(context, place)
    yield Run(argv=("rm", str(place)))


def _build_at(context: Context, place: Path) -> Iterator[Run]:
    """Build the checkout as if it were in another place; Go takes PWD's word for where that is."""
    yield Run(argv=("mkdir", "-p", str(place.parent)))
    yield Run(argv=("ln", "-sfn", str(context.checkout), str(place)))
    build = ("go", "build", "-o", f"{context.checkout}/bin/", "./...")
    yield Run(argv=build, cwd=place, env={"PWD": str(place)}, say="go build ./...")


def _import_path(context: Context) -> str:
    try:
        path = json.loads(context.tree.read("Godeps/Godeps.json"))["ImportPath"]
    except (ValueError, KeyError, TypeError):
        path = context.cache.name
    if not re.fullmatch(r"[\w~][\w.~-]*(/[\w~][\w.~-]*)*", str(path)):
        raise PikuError(f"Godeps/Godeps.json: {str(path)[:80]!r} is not an import path")
    return str(path)


def _env(context: Context) -> Mapping[str, str]:
    by_path, root = _by_path(context.tree), _root()
    # One that the server's administrator filled saves each app the downloads.
    ready = context.cache.parent.parent / "gopath"
    more = [context.checkout / "Godeps" / "_workspace"] if by_path else []
    return {
        "GOPATH": ":".join(
            map(str, (context.environment, *more, *([ready] if ready.is_dir() else ())))
        ),
        "GOMODCACHE": str(context.cache / "go" / "mod"),
        "GOCACHE": str(context.cache / "go" / "build"),
        "GOFLAGS": "-modcacherw",
        "GO15VENDOREXPERIMENT": "1",
        **({"GO111MODULE": "off"} if by_path else {}),
        **({"GOROOT": str(root)} if root else {}),
        **(
            {"GOPROXY": f"file://{ready}/pkg/mod/cache/download,https://proxy.golang.org,direct"}
            if ready.is_dir()
            else {}
        ),
    }


GO = Runtime(
    name="go",
    title="Go",
    detect=lambda tree, _procfile: detect(tree),
    requires=(("go",),),
    key=_key,
    build=_build,
    compile=_compile,
    env=_env,
    path=lambda context: (context.environment / "bin", context.checkout / "bin"),
)
