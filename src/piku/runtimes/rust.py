"""Rust: `cargo build`, in a folder that stays from release to release."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from piku import subprocesses
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.runtimes import stable
from piku.runtimes.base import Context, Run, Runtime

# The first cargo that reads each version of Cargo.lock (the Cargo Book, "Cargo.toml vs Cargo.lock").
_LOCK_NEEDS = {3: (1, 53), 4: (1, 78)}
_NEWER = (
    "install rustup for piku's user (https://rustup.rs), which also heeds rust-toolchain.toml;"
    " or Debian's newer one, instead of the old: apt-get install cargo-web"
)


def _compile(context: Context) -> Iterator[Run]:
    yield from _notes(context.tree)
    sources = stable.folder(context, "cargo")
    made = sources.with_name("target")
    yield stable.sync(context, "cargo")
    yield Run(
        argv=("cargo", "build"),
        cwd=sources,
        # Build scripts that ask git for a version find the release's repository.
        env={
            "CARGO_TARGET_DIR": str(made),
            "PWD": str(sources),
            "GIT_DIR": str(context.checkout / ".git"),
        },
    )
    # Programs and libraries; with `build.target` they are in a folder of that name.
    yield stable.take(made, context.checkout / "target", "debug/[!.]*", "*/debug/[!.]*")


def _notes(tree: Tree) -> Iterator[Run]:
    """What the distribution's cargo does not say itself: rustup's is not asked."""
    program = subprocesses.which("cargo", subprocesses.app_path(Path.home())) or "cargo"
    if "/.cargo/" in program:
        return
    said = subprocesses.run([program, "--version"])
    version = lock_problem(tree, said)
    if version:
        raise PikuError(
            f"Cargo.lock is of version {version}, which this server's {said.strip()} cannot read",
            hint=_NEWER,
        )
    channel = wanted(tree.read("rust-toolchain.toml"))
    if channel not in ("", "stable") and channel not in said:
        say = (
            f"rust-toolchain.toml asks for {channel}; without rustup, {said.strip()} is what builds"
        )
        yield Run(argv=("true",), say=say)


def lock_problem(tree: Tree, cargo: str) -> int:
    """The version of Cargo.lock when this cargo cannot read it, else 0."""
    lock = re.search(r"^version = (\d+)$", tree.read("Cargo.lock"), re.MULTILINE)
    found = re.search(r"(\d+)\.(\d+)", cargo)
    if lock is None or found is None:
        return 0
    needed = _LOCK_NEEDS.get(int(lock[1]), (0, 0))
    return int(lock[1]) if (int(found[1]), int(found[2])) < needed else 0


def wanted(toolchain: str) -> str:
    """The channel that a rust-toolchain.toml names, or nothing."""
    try:
        table = tomllib.loads(toolchain).get("toolchain")
    except tomllib.TOMLDecodeError as error:
        raise PikuError(f"rust-toolchain.toml: {error}") from None
    return str(table.get("channel", "")) if isinstance(table, dict) else ""


RUST = Runtime(
    name="rust",
    title="Rust",
    detect=lambda tree, _procfile: {"Cargo.toml", "rust-toolchain.toml"} <= tree.files.keys(),
    requires=(("cargo",),),
    compile=_compile,
)
