"""Go apps: modules, plain files, Godeps; built before they go live, never at start."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.e2e.support import App

NewApp = Callable[..., App]
UUID = "github.com/google/uuid"
# GOFLAGS=-v has `go build` name each package that it compiles.
LOUD = "GOFLAGS=-modcacherw -v\n"

SERVER = """\
package main

import (
	"fmt"
	"net/http"
	"os"
%(imports)s)

func main() {
	http.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(answer, "%%s %%s", "%(word)s", %(value)s)
	})
	panic(http.ListenAndServe(os.Getenv("BIND_ADDRESS")+":"+os.Getenv("PORT"), nil))
}
"""


def server(word: str, value: str = '"plain"', *imports: str) -> str:
    lines = "".join(f'\t"{name}"\n' for name in imports)
    return SERVER % {"word": word, "value": value, "imports": lines}


def environment(said: list[str]) -> str:
    """The name of the environment that a push built or reused."""
    (line,) = (line for line in said if "go-" in line and ("building" in line or "Reusing" in line))
    return next(word.strip(":") for word in line.split() if word.startswith("go-"))


def packages(said: list[str]) -> set[str]:
    """What was compiled, of what is not the standard library's."""
    return {line.strip() for line in said} & {"hello", "hello/words", UUID}


def test_a_module(new_app: NewApp, example: Callable[[str], Path]) -> None:
    app = new_app("gopher", example("go"), push=False)
    code = (app.repository / "main.go").read_text()
    code = code.replace('"os/signal"', '"os/signal"\n\n\t_ "hello/words"')
    app.commit(
        ENV=f"NGINX_SERVER_NAME={app.host}\n{LOUD}",
        main_go=code,
        **{"words/words.go": "package words\n"},
    )
    started = time.monotonic()
    said = app.deployed()
    print(f"first push: {time.monotonic() - started:.1f} s")
    first = environment(said)
    assert f"-----> Go: building {first}" in said
    assert packages(said) == {"hello", "hello/words", UUID}
    assert app.body().startswith("Hello from Go, release 1, request ")

    # Code only.
    app.commit(main_go=code.replace("Hello", "Goodbye"))
    started = time.monotonic()
    said = app.deployed()
    print(f"change of code: {time.monotonic() - started:.1f} s")
    assert environment(said) == first
    assert any("Reusing" in line for line in said)
    assert "hello" in packages(said) and UUID not in packages(said)
    assert app.body().startswith("Goodbye from Go, release 2, ")

    # A dependency: another environment. Sums that are not needed are removed in the release alone.
    sums = (app.repository / "go.sum").read_text()
    newer = (
        f"{UUID} v1.6.0 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=\n"
        f"{UUID} v1.6.0/go.mod h1:TIyPZe4MgqvfeYDBFedMoGGpEw/LqOeaOT+nhxU+yHo=\n"
    )
    module = (app.repository / "go.mod").read_text().replace("v1.3.0", "v1.6.0")
    app.commit(go_mod=module, go_sum=sums + newer)
    started = time.monotonic()
    said = app.deployed()
    print(f"change of a dependency: {time.monotonic() - started:.1f} s")
    second = environment(said)
    assert second != first
    assert f"-----> Go: building {second}" in said
    assert UUID in packages(said)
    checkout = (app.server.root / "apps" / app.name).resolve()
    assert (checkout / "go.sum").read_text() == newer

    # Builds that fail: the code, then a dependency that is nowhere.
    app.commit(main_go=code.replace("func main() {", "func main() { return 1"))
    said = app.failed()
    assert any("main.go" in line and "too many return values" in line for line in said)
    assert any("`go build" in line and "failed with exit code" in line for line in said)
    app.commit(main_go=code.replace(UUID, "example.invalid/nothing"))
    assert any(
        "no required module provides package example.invalid/nothing" in line
        for line in app.failed()
    )
    assert app.body().startswith("Goodbye from Go, release 3, ")


def test_go_run(new_app: NewApp, example: Callable[[str], Path]) -> None:
    """Without a go.sum, tidy makes one for the release."""
    app = new_app("go-run", example("go"), push=False)
    app.commit(Procfile="web: exec go run .\n", go_sum=None)
    said = app.deployed()
    assert any("go mod tidy" in line for line in said)
    assert app.body().startswith("Hello from Go, release 1, ")
    assert (app.server.root / "apps" / app.name / "go.sum").is_file()


def test_plain_files(new_app: NewApp) -> None:
    """Without a go.mod, a program is named as its app, and is on PATH."""
    app = new_app(
        "gofile", {"main.go": server("one"), "Procfile": "web: exec gofile\n"}, push=False
    )
    said = app.deployed()
    assert any("There is no go.mod" in line for line in said)
    assert app.body() == "one plain"
    first = environment(said)
    app.commit(main_go=server("two"))
    said = app.deployed()
    assert environment(said) == first
    assert app.body() == "two plain"


def test_vendored_modules_need_no_network(new_app: NewApp) -> None:
    files = {
        "main.go": server("one", "dep.Name()", "example.invalid/dep"),
        "go.mod": "module example.invalid/me/hello\n\ngo 1.19\n\nrequire example.invalid/dep v1.0.0\n",
        "go.sum": "",
        "vendor/modules.txt": "# example.invalid/dep v1.0.0\n## explicit; go 1.19\nexample.invalid/dep\n",
        "vendor/example.invalid/dep/dep.go": 'package dep\n\nfunc Name() string { return "1.0" }\n',
        "Procfile": "web: exec bin/hello\n",
        "ENV": "GOPROXY=off\n",
    }
    app = new_app("govendor", files, push=False)
    first = environment(app.deployed())
    assert app.body() == "one 1.0"
    changed: Mapping[str, str] = {
        name: files[name].replace("v1.0.0", "v1.1.0") for name in ("go.mod", "vendor/modules.txt")
    }
    dependency = {
        "vendor/example.invalid/dep/dep.go": 'package dep\n\nfunc Name() string { return "1.1" }\n'
    }
    app.commit(**{**changed, **dependency})
    assert environment(app.deployed()) != first
    assert app.body() == "one 1.1"


def test_godeps(new_app: NewApp) -> None:
    """Godeps name the module; what it imports of itself is found by that name."""
    files = {
        "main.go": server("one", "sub.Name()", "example.invalid/me/old/sub"),
        "sub/sub.go": 'package sub\n\nfunc Name() string { return "sub" }\n',
        "Godeps/Godeps.json": '{"ImportPath": "example.invalid/me/old", "GoVersion": "go1.5", "Deps": []}',
        "Procfile": "web: exec bin/old\n",
    }
    app = new_app("godeps", files)
    assert app.body() == "one sub"


def test_a_gopath_that_is_ready(new_app: NewApp, example: Callable[[str], Path]) -> None:
    """What the administrator put into $PIKU_ROOT/gopath is not fetched again: here nothing could be."""
    app = new_app("goready", example("go"), push=False)
    env = (app.repository / "ENV").read_text()
    nowhere = "".join(
        f"{name}=http://127.0.0.1:9\n"
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
    )
    app.commit(ENV=env + nowhere)
    assert any("uuid" in line for line in app.failed())

    fetched = app.server.root / "cache" / "gopher" / "go" / "mod" / "cache"
    if not fetched.is_dir():  # this test runs alone
        new_app("gopher", example("go"))
    ready = app.server.root / "gopath"
    shutil.copytree(fetched, ready / "pkg" / "mod" / "cache")
    try:
        app.deployed("main", "--force")
        assert app.body().startswith("Hello from Go, release ")
    finally:
        shutil.rmtree(ready)
