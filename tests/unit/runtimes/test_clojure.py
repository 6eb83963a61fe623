"""What Clojure builds depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from piku.app import procfile
from piku.app.tree import Tree
from piku.runtimes.base import Context, Runtime
from piku.runtimes.clojure import CLOJURE, LEIN

WEB = procfile.parse("web: x")


def context(
    files: Sequence[str], *, changed: str = "", settings: Mapping[str, str] | None = None
) -> Context:
    tree = Tree(
        files={name: "two" if name == changed else "one" for name in files}, read=lambda _path: ""
    )
    return Context(
        tree=tree,
        settings=settings or {},
        checkout=Path("/r"),
        environment=Path("/e"),
        cache=Path("/c"),
    )


def key(runtime: Runtime, found: Context) -> str:
    assert runtime.key is not None
    return runtime.key(found)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".local" / "bin").mkdir(parents=True)
    return tmp_path


def test_detect() -> None:
    assert CLOJURE.detect(context(["deps.edn"]).tree, WEB)
    assert not CLOJURE.detect(context(["sub/deps.edn"]).tree, WEB)
    assert LEIN.detect(context(["project.clj"]).tree, WEB)
    assert not LEIN.detect(context(["sub/project.clj"]).tree, WEB)


def test_key_of_the_cli(home: Path) -> None:
    files = ("deps.edn", "lib/deps.edn", "src/core.clj", "build.clj")
    assert (
        len(
            {
                key(CLOJURE, context(files, changed=path))
                for path in ("", "src/core.clj", "build.clj")
            }
        )
        == 1
    )
    assert key(CLOJURE, context(files)) != key(CLOJURE, context(files, changed="deps.edn"))
    assert key(CLOJURE, context(files)) != key(CLOJURE, context(files, changed="lib/deps.edn"))
    assert key(CLOJURE, context(files)) != key(
        CLOJURE, context(files, settings={"CLJ_CONFIG": "/else"})
    )


def test_key_of_leiningen() -> None:
    files = ("project.clj", "profiles.clj", "checkouts/lib/project.clj", "src/core.clj")
    assert key(LEIN, context(files)) == key(LEIN, context(files, changed="src/core.clj"))
    for path in files[:3]:
        assert key(LEIN, context(files)) != key(LEIN, context(files, changed=path))


def test_settings_are_those_of_the_servers_user(home: Path) -> None:
    assert CLOJURE.env(context([])) == {"CLJ_CONFIG": f"{home}/.clojure"}
    assert LEIN.env(context([])) == {"LEIN_HOME": f"{home}/.lein"}


def test_the_commands_are_the_specifications(home: Path) -> None:
    (release,) = CLOJURE.compile(context(["deps.edn"]))
    assert release.argv[1:] == ("-T:build", "release")
    (uberjar,) = LEIN.compile(context(["project.clj"]))
    assert uberjar.argv == ("lein", "do", "clean,", "uberjar")
