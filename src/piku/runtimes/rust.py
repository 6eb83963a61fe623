"""Rust: `cargo build` in each checkout, with a target folder that outlives releases."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator

from piku import subprocesses
from piku.app.tree import Tree
from piku.errors import PikuError
from piku.runtimes.base import Context, Run, Runtime, parse, search_path, table

# The first cargo that reads each version of Cargo.lock.
_LOCK_NEEDS = {"3": (1, 53), "4": (1, 78)}


def _compile(context: Context) -> Iterator[Run]:
    yield from _check_cargo(context.tree)
    kept, made = context.cache / "cargo", context.checkout / "target" / "debug"
    yield Run(argv=("cargo", "build"), env={"CARGO_TARGET_DIR": str(kept)})
    yield Run(argv=("mkdir", "-p", str(made)))
    # Programs and libraries. Copied, because the next build may write into its own; then removed
    # there, so that a program that is no longer built does not get into a later release.
    found = ("find", str(kept / "debug"), "-maxdepth", "1", "-type", "f", "-name", "[!.]*")
    yield Run(argv=(*found, "-exec", "cp", "-t", str(made), "{}", ";", "-delete"))


def _check_cargo(tree: Tree) -> Iterator[Run]:
    """Say what the distribution's cargo does not say itself; rustup's installs what it needs."""
    program = subprocesses.which("cargo", search_path()) or "cargo"
    if "/.cargo/" in program:
        return
    version = subprocesses.run([program, "--version"]).strip()
    if lock := unreadable_lock(tree, version):
        raise PikuError(
            f"Cargo.lock is of version {lock}, which {version} of this server cannot read",
            hint="install rustup for piku's user (https://rustup.rs), or Debian's newer cargo"
            " instead of the old one: apt-get install cargo-web",
        )
    channel = toolchain(tree)
    if channel not in ("", "stable") and channel not in version:
        say = f"rust-toolchain.toml asks for {channel}; without rustup, {version} builds"
        yield Run(argv=("true",), say=say)


def unreadable_lock(tree: Tree, cargo: str) -> str:
    """The version of Cargo.lock if this cargo cannot read it, else empty."""
    lock = re.search(r"^version = (\d+)$", tree.read("Cargo.lock"), re.MULTILINE)
    found = re.search(r"(\d+)\.(\d+)", cargo)
    needed = _LOCK_NEEDS.get(lock[1]) if lock else None
    if lock is None or found is None or needed is None:
        return ""
    return lock[1] if (int(found[1]), int(found[2])) < needed else ""


def toolchain(tree: Tree) -> str:
    """The channel that rust-toolchain.toml names, or nothing."""
    document = parse(tree, "rust-toolchain.toml", tomllib.loads)
    return str(table(document, "toolchain").get("channel", ""))


RUST = Runtime(
    name="rust",
    title="Rust",
    detect=lambda tree, _procfile: {"Cargo.toml", "rust-toolchain.toml"} <= tree.files.keys(),
    requires=(("cargo",),),
    compile=_compile,
)
