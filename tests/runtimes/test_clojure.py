"""Clojure apps: Leiningen builds them, or the Clojure CLI.

Clojars and Maven Central are not asked: Leiningen is told to be offline with Debian's repository of Java
packages. The Clojure CLI is in no registry here: in its place is clojure_cli.sh, which makes a classpath of
deps.edn, from that repository, and runs Debian's Clojure with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.support import App
from tests.runtimes.support import build_failed, built, reused

NewApp = Callable[..., App]
Example = Callable[[str], Path]

REPOSITORY = "/usr/share/maven-repo"
CORE = "src/hello/core.clj"
DIGEST = '(org.apache.commons.codec.digest.DigestUtils/md5Hex "piku")'


@pytest.fixture
def cli(server: Sandbox) -> Iterator[None]:
    """What stands for the Clojure CLI, in a folder of the server's user."""
    here = Path(__file__).parent
    program = server.home / ".local" / "bin" / "clojure"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text((here / "clojure_cli.sh").read_text())
    program.chmod(0o755)
    (program.parent / "classpath.clj").write_text((here / "clojure_classpath.clj").read_text())
    config = server.home / ".clojure"
    config.mkdir(exist_ok=True)
    (config / "deps.edn").write_text(f'{{:mvn/local-repo "{REPOSITORY}"}}\n')
    yield
    program.unlink()


def change(app: App, path: str, old: str, new: str) -> None:
    text = (app.repository / path).read_text()
    assert old in text
    app.server.commit(app.repository, {path: text.replace(old, new)})


def test_leiningen(new_app: NewApp, example: Example, server: Sandbox) -> None:
    profiles = server.home / ".lein" / "profiles.clj"
    profiles.parent.mkdir(exist_ok=True)
    profiles.write_text(f'{{:user {{:local-repo "{REPOSITORY}" :offline? true}}}}\n')
    app = new_app("leinapp", example("clojure-lein"), push=False)
    first = built(app, "lein")
    assert app.body() == "Hello from Clojure 1.11.1, release 1\n"
    assert f"LEIN_HOME={server.home}/.lein" in app.does("run", "--", "env").splitlines()

    live = (server.root / "apps" / app.name).resolve() / "target"
    before = {path: path.stat().st_mtime_ns for path in live.rglob("*")}
    change(app, CORE, "Hello from", "Goodbye from")
    reused(app, quick=False)
    assert app.body() == "Goodbye from Clojure 1.11.1, release 2\n"
    assert {path: path.stat().st_mtime_ns for path in live.rglob("*")} == before

    change(app, "project.clj", "[[org.clojure", '[[commons-codec "1.15"] [org.clojure')
    change(app, CORE, "(clojure-version)", DIGEST)
    assert built(app, "lein") != first
    assert app.body().startswith("Goodbye from Clojure e933")

    change(app, CORE, DIGEST, "(no-such-function)")
    build_failed(
        app, r"Unable to resolve symbol: no-such-function", r"`lein do clean, uberjar` failed"
    )
    assert app.body().startswith("Goodbye from Clojure e933")

    change(app, "project.clj", '"1.15"', '"0.0"')
    build_failed(app, r"commons-codec:jar:0\.0", r"`lein deps` failed")
    assert app.body().startswith("Goodbye from Clojure e933")


def test_clojure_cli(
    new_app: NewApp, example: Example, server: Sandbox, cli: None, tmp_path: Path
) -> None:
    app = new_app("cljapp", example("clojure-cli"), push=False)
    first = built(app, "clojure")
    assert app.body() == "Hello from Clojure 1.11.1, release 1\n"
    assert f"CLJ_CONFIG={server.home}/.clojure" in app.does("run", "--", "env").splitlines()

    change(app, CORE, "Hello from", "Goodbye from")
    said = reused(app, quick=False)
    assert any("Compiled to target/classes" in line for line in said), said
    assert app.body() == "Goodbye from Clojure 1.11.1, release 2\n"

    text = (app.repository / "deps.edn").read_text()
    app.commit(
        deps_edn=text.replace(
            ":deps {", ':deps {commons-codec/commons-codec {:mvn/version "1.15"} '
        )
    )
    change(app, CORE, "(clojure-version)", DIGEST)
    assert built(app, "clojure") != first
    assert app.body().startswith("Goodbye from Clojure e933")

    change(app, CORE, DIGEST, "(no-such-function)")
    build_failed(
        app, r"Unable to resolve symbol: no-such-function", r"`clojure -T:build release` failed"
    )
    assert app.body().startswith("Goodbye from Clojure e933")

    # A place of its own for the CLI's settings is kept, and read.
    (tmp_path / "deps.edn").write_text('{:mvn/local-repo "/nowhere"}\n')
    result = app.says("config:set", f"CLJ_CONFIG={tmp_path}")
    assert result.returncode == 1
    said = result.stdout + result.stderr
    assert "Could not find artifact commons-codec/commons-codec:jar:1.15" in said
    assert "`clojure -P` failed with exit code 1" in said
    assert app.body().startswith("Goodbye from Clojure e933")
