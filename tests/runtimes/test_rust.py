"""Rust apps: built before they go live, with a target folder that outlives releases.

Debian's cargo reads the index of crates.io with git from github.com. So that a test needs neither, the
crate that the app depends on is in its repository, through cargo's own source replacement.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.support import App, snapshot

NewApp = Callable[..., App]

REPLACED = (
    '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "vendor"\n'
)
TOML = '[package]\nname = "hello"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\nwords = "1"\n'
LOCK = """\
version = 3

[[package]]
name = "hello"
version = "0.1.0"
dependencies = [
 "words",
]

[[package]]
name = "words"
version = "VERSION"
source = "registry+https://github.com/rust-lang/crates.io-index"
"""
# Notes the commit, as many build scripts do, and makes a file beside the code, as some do.
SCRIPT = """\
use std::process::Command;

fn main() {
    let said = Command::new("git").args(["rev-parse", "HEAD"]).output().unwrap();
    println!("cargo:rustc-env=COMMIT={}", String::from_utf8(said.stdout).unwrap().trim());
    println!("cargo:rerun-if-changed=vendor");
    std::fs::write("src/made.rs", "pub const MADE: &str = \\"made\\";").unwrap();
}
"""


def words(version: str) -> dict[str, str]:
    """The crate `words` of a version, as `cargo vendor` writes it, and the lock file."""
    return {
        "vendor/words/Cargo.toml": f'[package]\nname = "words"\nversion = "{version}"\nedition = "2021"\n',
        "vendor/words/src/lib.rs": f'pub fn word() -> &\'static str {{ "words {version}" }}\n',
        "vendor/words/.cargo-checksum.json": '{"files": {}}',
        "Cargo.lock": LOCK.replace("VERSION", version),
    }


def compiled(said: list[str]) -> list[str]:
    return [" ".join(line.split()[1:3]) for line in said if line.split()[:1] == ["Compiling"]]


def push(app: App, what: str) -> list[str]:
    started = time.monotonic()
    said = app.deployed()
    print(f"{what}: {time.monotonic() - started:.1f} s")
    return said


def head(app: App) -> str:
    return app.server.git(app.repository, "rev-parse", "HEAD").stdout.strip()


def live(app: App) -> Path:
    return (app.server.root / "apps" / app.name).resolve()


def test_rust(new_app: NewApp, example: Callable[[str], Path]) -> None:
    app = new_app("crab", example("rust"), push=False)
    code = (app.repository / "src/main.rs").read_text()
    using = code.replace("{GREETING},", "{GREETING}, {},").replace(
        'release {release}\\n")', 'release {release}\\n", words::word())'
    )
    assert using.count("words::word()") == 1
    app.commit(
        **{
            "src/main.rs": using,
            "Cargo.toml": TOML,
            ".cargo/config.toml": REPLACED,
            **words("1.0.0"),
        }
    )
    said = push(app, "first push")
    assert "-----> Rust" in said
    assert compiled(said) == ["words v1.0.0", "hello v0.1.0"]
    assert app.body() == "Hello from Rust, words 1.0.0, release 1\n"
    assert not list(
        (app.server.root / "envs" / app.name).glob("rust-*")
    )  # cargo needs no environment
    made = live(app) / "target"
    assert {path.name for path in made.iterdir()} == {"debug"}
    assert {path.name for path in (made / "debug").iterdir()} == {"hello", "hello.d"}

    # Code only. The first release's files are as they were.
    first, before = live(app), snapshot(live(app))
    app.commit(**{"src/main.rs": using.replace("Hello", "Goodbye")})
    assert "hello v0.1.0" in compiled(push(app, "change of code"))
    assert app.body() == "Goodbye from Rust, words 1.0.0, release 2\n"
    assert snapshot(first) == before

    # A dependency, and a build script.
    script = using.replace("fn main()", "mod made;\n\nfn main()", 1).replace(
        "words::word()", 'format!("{} {} {}", words::word(), made::MADE, env!("COMMIT"))'
    )
    commit = app.commit(**{**words("1.1.0"), "build.rs": SCRIPT, "src/main.rs": script})
    said = push(app, "change of a dependency")
    assert sorted(compiled(said)) == ["hello v0.1.0", "words v1.1.0"]
    assert app.body() == f"Hello from Rust, words 1.1.0 made {commit}, release 3\n"
    app.commit(**{"src/main.rs": script.replace("Hello", "Again")})
    commit = head(app)
    app.deployed()
    assert app.body() == f"Again from Rust, words 1.1.0 made {commit}, release 4\n"

    # Builds that fail.
    before, folder = snapshot(live(app)), live(app)
    app.commit(**{"src/main.rs": script.replace("fn main()", "fn main(")})
    said = app.failed()
    assert any("error" in line for line in said)
    assert any("`cargo build` failed with exit code 101" in line for line in said)
    app.commit(**{"src/main.rs": script, "Cargo.lock": LOCK.replace("version = 3", "version = 4")})
    said = app.failed()
    assert any("this version of Cargo does not understand this lock file" in line for line in said)
    assert snapshot(folder) == before
    assert app.body() == f"Again from Rust, words 1.1.0 made {commit}, release 4\n"

    # A program that is no longer made is not in the release.
    app.commit(
        **{
            "Cargo.toml": TOML.replace('"hello"', '"other"'),
            "Cargo.lock": words("1.1.0")["Cargo.lock"].replace('"hello"', '"other"'),
            "Procfile": "web: exec target/debug/other\n",
        }
    )
    app.deployed()
    assert {path.name for path in (live(app) / "target/debug").iterdir()} == {"other", "other.d"}
    assert app.body().endswith("release 7\n")
