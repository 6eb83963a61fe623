"""Ruby with a Gemfile: Bundler, its gems in the environment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from piku import subprocesses
from piku.runtimes.base import Context, Run, Runtime

LOCK = "Gemfile.lock"
_FILES = ("Gemfile", LOCK, ".ruby-version", ".bundle/config")
# What makes Bundler read more of the tree than these: gems of the app's own, other Gemfiles.
_LOCAL = re.compile(
    r"^\s*(gemspec|path|eval_gemfile)\b|\bpath:|:path\b|\bFile\.read\b", re.MULTILINE
)


def _key(context: Context) -> str:
    files = context.tree.files
    counted = [path for path in files if path in _FILES or path.startswith("vendor/cache/")]
    place = ""
    if _LOCAL.search(context.tree.read("Gemfile")):
        counted, place = [*files], str(context.checkout)
    bundler = sorted(
        f"{name}={value}" for name, value in context.settings.items() if _is_bundlers(name)
    )
    ruby = str(
        Path(subprocesses.which("ruby", subprocesses.app_path(Path.home())) or "ruby").resolve()
    )
    return "\n".join((ruby, place, *bundler, *sorted(f"{path} {files[path]}" for path in counted)))


def _is_bundlers(name: str) -> bool:
    return name.startswith(("BUNDLE_", "GEM_", "RUBY"))


def _settings(context: Context) -> Path:
    """Where Bundler keeps what it is told "for this project": not beside the code."""
    return context.environment / ".bundle"


def _build(context: Context) -> Iterator[Run]:
    folder = context.environment
    if ".bundle/config" in context.tree.files:
        yield Run(argv=("mkdir", "-p", str(_settings(context))))
        yield Run(argv=("cp", ".bundle/config", str(_settings(context) / "config")))
    yield _config("path", str(folder))
    if LOCK in context.tree.files:
        yield _config("frozen", "true")
    # Gems that were fetched, and their compiled parts, serve the next environment too.
    cache = {"BUNDLE_GLOBAL_GEM_CACHE": "true", "BUNDLE_USER_CACHE": str(context.cache / "bundle")}
    yield Run(argv=("bundle", "install"), env=cache)
    if LOCK not in context.tree.files:
        yield Run(argv=("cp", LOCK, str(folder / LOCK)))


def _config(name: str, value: str) -> Run:
    return Run(argv=("bundle", "config", "set", "--local", name, value))


def _compile(context: Context) -> Iterator[Run]:
    # Else the app would resolve its gems once more when it starts, and write the file beside its code.
    if LOCK not in context.tree.files:
        yield Run(argv=("cp", str(context.environment / LOCK), LOCK))


def _env(context: Context) -> Mapping[str, str]:
    return {"BUNDLE_APP_CONFIG": str(_settings(context))}


RUBY = Runtime(
    name="ruby",
    title="Ruby (Bundler)",
    detect=lambda tree, _procfile: "Gemfile" in tree.files,
    requires=(("ruby",), ("bundle",)),
    key=_key,
    build=_build,
    compile=_compile,
    env=_env,
)
