"""Ruby with a Gemfile: Bundler, its gems in the environment."""

import re
from collections.abc import Iterator

from piku.runtimes.base import Context, Run, Runtime, real_program

LOCK = "Gemfile.lock"
_FILES = ("Gemfile", LOCK, ".ruby-version", ".bundle/config")
# What makes Bundler read more of the tree than these: gems of the app's own, other Gemfiles.
_LOCAL = re.compile(
    r"^\s*(gemspec|path|eval_gemfile)\b|\bpath:|:path\b|\bFile\.read\b", re.MULTILINE
)


def _key(context: Context) -> str:
    tree = context.tree
    counted = [path for path in tree.files if path in _FILES or path.startswith("vendor/cache/")]
    place = ""
    if _LOCAL.search(tree.read("Gemfile")):
        counted, place = [*tree.files], str(context.checkout)
    own = context.chosen(lambda name: name.startswith(("BUNDLE_", "GEM_", "RUBY")))
    return "\n".join((real_program("ruby"), place, *own, *context.digests(counted)))


def _build(context: Context) -> Iterator[Run]:
    folder, own = context.environment, ".bundle/config"
    if own in context.tree.files:
        yield Run(argv=("mkdir", "-p", str(folder / ".bundle")))
        yield Run(argv=("cp", own, str(folder / own)))
    yield _config("path", str(folder))
    if LOCK in context.tree.files:
        yield _config("frozen", "true")
    # Downloaded gems and their compiled parts serve the next environment too.
    cache = {"BUNDLE_GLOBAL_GEM_CACHE": "true", "BUNDLE_USER_CACHE": str(context.cache / "bundle")}
    yield Run(argv=("bundle", "install"), env=cache)
    if LOCK not in context.tree.files:
        yield Run(argv=("cp", LOCK, str(folder / LOCK)))


def _config(name: str, value: str) -> Run:
    return Run(argv=("bundle", "config", "set", "--local", name, value))


def _compile(context: Context) -> Iterator[Run]:
    # Without it, the app would resolve its gems again at each start, and write the file itself.
    if LOCK not in context.tree.files:
        yield Run(argv=("cp", str(context.environment / LOCK), LOCK))


RUBY = Runtime(
    name="ruby",
    title="Ruby (Bundler)",
    detect=lambda tree, _procfile: "Gemfile" in tree.files,
    requires=(("ruby",), ("bundle",)),
    key=_key,
    build=_build,
    compile=_compile,
    # Where Bundler keeps its settings "for this project": not beside the code.
    env=lambda context: {"BUNDLE_APP_CONFIG": str(context.environment / ".bundle")},
)
