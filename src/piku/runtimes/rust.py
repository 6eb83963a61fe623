"""Rust: `cargo build` in each checkout, with a target folder that outlives releases."""

from collections.abc import Iterator

from piku.runtimes.base import Context, Run, Runtime


def _compile(context: Context) -> Iterator[Run]:
    kept, made = context.cache / "cargo", context.checkout / "target" / "debug"
    yield Run(argv=("cargo", "build"), env={"CARGO_TARGET_DIR": str(kept)})
    yield Run(argv=("mkdir", "-p", str(made)))
    # Programs and libraries. Copied, because the next build may write into its own; then removed
    # there, so that a program that is no longer built does not get into a later release.
    found = ("find", str(kept / "debug"), "-maxdepth", "1", "-type", "f", "-name", "[!.]*")
    yield Run(argv=(*found, "-exec", "cp", "-t", str(made), "{}", ";", "-delete"))


RUST = Runtime(
    name="rust",
    title="Rust",
    # As specified; what says neither is left to the server's own Rust.
    detect=lambda tree, _procfile: (
        "Cargo.toml" in tree.files
        and ("rust-toolchain.toml" in tree.files or "Procfile" not in tree.files)
    ),
    requires=(("cargo",),),
    compile=_compile,
)
