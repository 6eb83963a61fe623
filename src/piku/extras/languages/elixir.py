"""Elixir: dependencies compiled in the environment, the app in each checkout, from a copy."""

import re
from collections.abc import Iterator

from piku.runtimes.base import Context, Run, Runtime, link, real_program

_PROJECT, _LOCK = "mix.exs", "mix.lock"
_COUNTED = re.compile(r"mix\.(exs|lock)|config/.*\.exs|\.tool-versions")
# Dependencies in the repository itself: a project of several, or one that names a folder.
_LOCAL = re.compile(r"\b(apps_path|path):")
# A dependency from hex.pm, in the lock file or the project.
_HEX = re.compile(r"\{:(hex,|\w+,\s*\")")


def _files(context: Context) -> list[str]:
    """What the dependencies are compiled from: everything, if some are in the repository."""
    tree = context.tree
    local = _LOCAL.search(tree.read(_PROJECT))
    return sorted(path for path in tree.files if local or _COUNTED.fullmatch(path))


def _key(context: Context) -> str:
    own = context.chosen(lambda name: name.startswith(("MIX_", "HEX_")))
    return "\n".join((real_program("elixir"), *own, *context.digests(_files(context))))


def _build(context: Context) -> Iterator[Run]:
    home, tree = context.environment, context.tree
    yield Run(argv=("mkdir", "-p", str(home)))
    names = sorted({path.partition("/")[0] for path in _files(context)} - {".."})
    yield Run(argv=("cp", "-a", *(str(context.checkout / name) for name in names), str(home)))
    if _HEX.search(tree.read(_LOCK) + tree.read(_PROJECT)):
        for tool in ("local.hex", "local.rebar"):
            yield Run(argv=("mix", tool, "--force", "--if-missing"), cwd=home)
    for command in ("deps.get", "deps.compile"):
        yield Run(argv=("mix", command), cwd=home, say=f"mix {command}")


def _compile(context: Context) -> Iterator[Run]:
    home, tree = context.environment, context.tree
    if (home / "deps").is_dir():
        yield from link(context.checkout / "deps", home / "deps")
    for made in ("_build", _LOCK):
        if made not in tree.files and (home / made).exists():
            yield Run(argv=("cp", "-a", str(home / made), "."))
    yield Run(argv=("mix", "compile"), say="mix compile")
    if '"assets.deploy"' in tree.read(_PROJECT):
        yield Run(argv=("mix", "assets.deploy"), say="mix assets.deploy")
    if "_build/prod/rel/" in tree.read("Procfile"):
        yield Run(argv=("mix", "release", "--overwrite"), say="mix release")


ELIXIR = Runtime(
    name="elixir",
    title="Elixir",
    detect=lambda tree, _procfile: _PROJECT in tree.files,
    requires=(("elixir",),),
    key=_key,
    build=_build,
    compile=_compile,
    env=lambda context: {
        "MIX_ENV": "prod",
        # The old and the new release run at the same time, and must not share a node's name.
        "RELEASE_DISTRIBUTION": "none",
        "RELEASE_TMP": str(context.cache / "elixir"),
    },
)
