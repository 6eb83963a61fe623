"""How a Go app is recognised, what its environment depends on, and what cannot be built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from piku.app import procfile
from piku.app.tree import Tree
from piku.runtimes import go
from piku.runtimes.base import Context

WEB = procfile.parse("web: x")


def tree(files: Mapping[str, str]) -> Tree:
    return Tree(
        files={name: f"{name}={text}" for name, text in files.items()},
        read=lambda path: files.get(path, ""),
    )


def context(
    files: Mapping[str, str], settings: Mapping[str, str] | None = None, root: Path = Path("/r")
) -> Context:
    return Context(
        tree=tree(files), settings=settings or {}, checkout=root / "releases/shop/c",
        environment=root / "envs/shop/go-1", cache=root / "cache/shop",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("files", "is_go"),
    [
        (["go.mod"], True),
        (["main.go"], True),
        (["Godeps/Godeps.json"], True),
        (["cmd/main.go"], False),
        (["sub/go.mod"], False),
        (["sub/Godeps/Godeps.json"], False),
        (["main.go.txt"], False),
        (["scripts.go/readme"], False),
        ([], False),
    ],
)
def test_detect(files: list[str], is_go: bool) -> None:
    assert go.GO.detect(tree(dict.fromkeys(files, "")), WEB) is is_go


def test_the_key() -> None:
    assert go.GO.key is not None
    files = {"go.mod": "module a", "go.sum": "sum", "vendor/modules.txt": "v", "main.go": "code"}
    key = go.GO.key(context(files))
    for name in ("go.mod", "go.sum", "vendor/modules.txt"):
        assert go.GO.key(context({**files, name: "other"})) != key, name
    assert go.GO.key(context({**files, "main.go": "other"}, {"GOFLAGS": "-tags=x"})) == key


def commands(files: Mapping[str, str]) -> list[str]:
    return [" ".join(step.argv) for step in go.GO.compile(context(files))]


def test_the_programs() -> None:
    build, tidy = "go build -o bin/ ./...", "go mod tidy"
    code = {"main.go": ""}
    assert commands({**code, "go.mod": ""}) == [tidy, build]
    assert commands({**code, "go.mod": "", "vendor/modules.txt": ""}) == [build]
    made = "go build -o bin/ -mod=mod ./..."
    assert commands(code) == ["go mod init -- shop", tidy, made]
    named = {"Godeps/Godeps.json": '{"ImportPath": "example.org/me"}'}
    assert commands({**code, **named}) == ["go mod init -- example.org/me", tidy, made]


def test_the_variables(tmp_path: Path) -> None:
    app = context({"go.mod": ""}, root=tmp_path)
    found = go.GO.env(app)
    assert found["GOPATH"] == str(app.environment)
    assert found["GOMODCACHE"].startswith(f"{app.cache}/")
    assert found["GO15VENDOREXPERIMENT"] == "1"
    assert "GOPROXY" not in found
    (tmp_path / "gopath").mkdir()
    assert go.GO.env(app)["GOPATH"] == f"{app.environment}:{tmp_path}/gopath"
    assert go.GO.env(app)["GOPROXY"].startswith(
        f"file://{tmp_path}/gopath/pkg/mod/cache/download,https://"
    )


def test_nothing_is_compiled_where_there_is_no_go_file() -> None:
    assert list(go.GO.compile(context({"go.mod": "module site"}))) == []
