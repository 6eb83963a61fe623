"""Versions of languages that the server lacks: fetched by their real tools, from where they are kept.

Node.js comes from the npm registry and Go from its module proxy. uv's Pythons are on a host that a
test does not depend on: here uv gets them from an archive that is made of this server's own Python.
"""

import json
import os
import platform
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sandbox import Sandbox

from piku.app.tree import EMPTY
from piku.errors import PikuError
from piku.extras.versions import fetch
from piku.runtimes.base import Context, Run
from tests.e2e.support import App
from tests.runtimes.support import built
from tests.runtimes.test_node import files as node_files

NewApp = Callable[..., App]

GO_SERVER = """
package main

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, runtime.Version()) })
	http.ListenAndServe(os.Getenv("BIND_ADDRESS")+":"+os.Getenv("PORT"), nil)
}
"""
# The Python of this server, of which archives are made.
HERE = Path(os.path.realpath("/usr/bin/python3"))
WHOLE = subprocess.run(
    [HERE, "-c", "import platform; print(platform.python_version())"],
    check=True, capture_output=True, text=True,
).stdout.strip()  # fmt: skip


def shows(lines: list[str], text: str) -> None:
    assert any(text in line for line in lines), lines


def test_node_as_the_app_asks_for_it(new_app: NewApp) -> None:
    app = new_app("nvmrc", node_files(**{".nvmrc": "lts/krypton\n"}), push=False)
    said = app.failed()
    shows(said, "failed at reading the commit: .nvmrc asks for Node.js 24, and this server has ")
    shows(said, "let Piku fetch it: piku config:set nvmrc PIKU_FETCH_RUNTIMES=true")
    app.does("config:set", "PIKU_FETCH_RUNTIMES=true")
    # The same commit, pushed again.
    first = built(app, "node")
    assert app.body().startswith("v24.")
    assert app.does("run", "--", "node --version").startswith("v24.")
    # What the server has will do for another release: it is not the fetched one then.
    here = subprocess.run(
        ["/usr/bin/node", "--version"], check=True, capture_output=True, text=True
    )
    version = here.stdout.strip()
    package = json.loads(node_files()["package.json"])
    package["engines"] = {"node": f">={version[1:]}"}
    app.server.commit(app.repository, {".nvmrc": None, "package.json": json.dumps(package)})
    assert built(app, "node") != first
    assert app.body().startswith(f"{version} ")
    # An older one is said not to be here, and the setting is above the files.
    app.does("config:set", "PIKU_FETCH_RUNTIMES=false")
    app.server.commit(app.repository, {".nvmrc": "14\n"})
    shows(app.deployed(), f".nvmrc asks for Node.js 14, which is not here: {version[1:]} runs it")


def test_a_repository_cannot_allow_it(new_app: NewApp) -> None:
    env = "PIKU_FETCH_RUNTIMES=true\n"
    app = new_app("itself", node_files(env=env, **{".nvmrc": "24\n"}), push=False)
    shows(app.failed(), "ENV: PIKU_FETCH_RUNTIMES cannot be set in the repository")


def test_go_as_the_module_asks_for_it(new_app: NewApp, server: Sandbox) -> None:
    module = "module hello\n\ngo 1.22\n"
    app = new_app(
        "toolchain",
        {"Procfile": "web: bin/hello\n", "main.go": GO_SERVER, "go.mod": module},
        push=False,
    )
    shows(app.failed(), "go.mod asks for Go 1.22, and this server has Go 1.19.")
    app.does("config:set", "PIKU_FETCH_RUNTIMES=true")
    said = app.deployed()
    shows(said, "golang.org/toolchain")
    version = app.body()
    assert version.startswith("go1.22.")
    assert version != "go1.22.0"
    assert version in app.does("run", "--", "go version")
    # What is there serves the next environment, and other apps: nothing is fetched again.
    app.server.commit(app.repository, {"go.mod": module + "// more\n"})
    again = app.deployed()
    assert any(": building go-" in line for line in again)
    assert not any("golang.org/toolchain" in line for line in again), again
    assert (server.root / "cache" / "@runtimes" / "go-1.22" / "bin" / "go").exists()


# --- Python --------------------------------------------------------------------------------------


def only_what_is_needed(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    skipped = {"test", "idlelib", "tkinter", "lib2to3", "pydoc_data", "__pycache__"}
    return None if skipped & {*entry.name.split("/")} or "config-" in entry.name else entry


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python as uv expects one: python/bin and python/lib."""
    place = tmp_path_factory.mktemp("mirror") / "python.tar.gz"
    place.parent.chmod(0o755)
    skipped = (
        "test",
        "idlelib",
        "tkinter",
        "lib2to3",
        "pydoc_data",
        "__pycache__",
        "dist-packages",
    )

    def wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = entry.name.split("/")
        return None if set(skipped) & {*parts} or "config-" in entry.name else entry

    with tarfile.open(place, "w:gz", compresslevel=1, dereference=True) as tar:
        tar.add(HERE, f"python/bin/{HERE.name}")
        tar.add(f"/usr/lib/{HERE.name}", f"python/lib/{HERE.name}", filter=only_what_is_needed)
    return place


def downloads(archive: Path, version: str) -> Path:
    """What uv takes for the list of all Pythons: this archive alone, as this version."""
    major, minor, patch = map(int, version.split("."))
    machine = platform.machine()
    entry = {
        "name": "cpython", "arch": {"family": machine, "variant": None}, "os": "linux", "libc": "gnu",
        "major": major, "minor": minor, "patch": patch, "prerelease": "", "variant": None,
        "url": archive.as_uri(), "sha256": None, "build": "20240101",
    }  # fmt: skip
    listing = archive.with_name(f"{archive.name}-{version}.json")
    listing.write_text(json.dumps({f"cpython-{version}-linux-{machine}-gnu": entry}))
    return listing


def run(steps: Iterator[Run], env: dict[str, str]) -> list[str]:
    """Do what a build does with its steps; what they were."""
    done = []
    for step in steps:
        subprocess.run(
            step.argv, cwd=step.cwd, env={**os.environ, **env, **step.env}, check=not step.optional
        )
        done.append(" ".join(step.argv))
    return done


def test_uv_fetches_a_python(tmp_path: Path, archive: Path) -> None:
    context = Context(
        tree=EMPTY, settings={}, checkout=tmp_path, environment=tmp_path / "env",
        cache=tmp_path / "cache" / "app",
    )  # fmt: skip
    program = fetch.place(context, f"python-{WHOLE}") / "bin" / HERE.name
    # Half a download is nothing.
    half = archive.with_name("half.tar.gz")
    half.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    listing = {"UV_PYTHON_DOWNLOADS_JSON_URL": str(downloads(half, WHOLE))}
    with pytest.raises(subprocess.CalledProcessError):
        run(fetch.python(context, WHOLE, program), listing)
    assert not program.exists()
    # uv itself came from PyPI before that, and is there for the next time.
    listing = {"UV_PYTHON_DOWNLOADS_JSON_URL": str(downloads(archive, WHOLE))}
    steps = run(fetch.python(context, WHOLE, program), listing)
    assert [step for step in steps if step.endswith(f"python install --no-bin {WHOLE}")]
    assert not [step for step in steps if "pip install" in step]
    prefix = subprocess.run(
        [program, "-c", "import sys, json; print(sys.prefix)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert Path(prefix.strip()).is_relative_to(tmp_path.resolve())
    # Another app finds it, and an environment is made by it.
    other = replace(context, cache=tmp_path / "cache" / "other")
    assert run(fetch.python(other, WHOLE, program), {}) == [f"{program} --version"]

    # What comes must be what was asked for.
    wrong = fetch.place(context, "python-3.12") / "bin" / "python3.12"
    mislabelled = archive.with_name("other.tar.gz")
    with tarfile.open(mislabelled, "w:gz", compresslevel=1, dereference=True) as tar:
        tar.add(HERE, "python/bin/python3.12")
        for folder in (HERE.name, "python3.12"):  # uv looks into the second
            tar.add(f"/usr/lib/{HERE.name}", f"python/lib/{folder}", filter=only_what_is_needed)
    listing = {"UV_PYTHON_DOWNLOADS_JSON_URL": str(downloads(mislabelled, "3.12.1"))}
    with pytest.raises(PikuError, match=rf"Python 3\.12 was asked for, and .* is Python {WHOLE}"):
        run(fetch.python(context, "3.12", wrong), listing)
    assert not wrong.exists()


def test_a_newer_python_is_refused_with_what_to_do(new_app: NewApp, server: Sandbox) -> None:
    files = {"Procfile": "wsgi: app:app\n", "requirements.txt": "", ".python-version": "3.14\n"}
    app = new_app("newer", files, push=False)
    said = app.failed()
    shows(said, f".python-version asks for Python 3.14, and this server has Python {WHOLE}")
    shows(said, "let Piku fetch it: piku config:set newer PIKU_FETCH_RUNTIMES=true")
    app.does("config:set", "PIKU_FETCH_RUNTIMES=true")
    said = app.failed()
    shows(said, "uWSGI on this server cannot run Python 3.14")
    shows(said, "use another server, such as web: gunicorn --bind $BIND_ADDRESS:$PORT")
    assert not (server.root / "cache" / "newer" / "virtualenv").exists()


def test_a_requirement_that_needs_a_newer_python(new_app: NewApp) -> None:
    app = new_app(
        "django6", {"Procfile": "web: x\n", "requirements.txt": "Django==6.0\n"}, push=False
    )
    said = app.failed()
    minor = HERE.name.removeprefix("python")
    shows(said, f"Django==6.0 needs Python >=3.12, and this environment has Python {minor}")
    shows(said, "ask for it: write 3.12 into .python-version, and commit")
    shows(said, "piku config:set django6 PIKU_FETCH_RUNTIMES=true")


# --- Ruby and Rust -------------------------------------------------------------------------------


def test_what_is_never_fetched_is_refused_with_the_other_way_out(new_app: NewApp) -> None:
    files = {"Procfile": "web: x\n", "Gemfile": 'source "https://rubygems.org"\nruby "~> 3.9"\n'}
    app = new_app("newer-ruby", files, push=False)
    said = app.failed()
    shows(said, "Gemfile asks for Ruby ~> 3.9, and this server has Ruby 3.1.")
    shows(said, "ruby-build VERSION /usr/local")
    assert not any("PIKU_FETCH_RUNTIMES" in line for line in said), said

    toolchain = '[toolchain]\nchannel = "1.190"\n'
    files = {"Procfile": "web: x\n", "Cargo.toml": "", "rust-toolchain.toml": toolchain}
    app = new_app("newer-rust", files, push=False)
    said = app.failed()
    shows(said, "rust-toolchain.toml asks for Rust 1.190, and this server has Rust 1.65.")
    shows(said, "install rustup as piku's user")
