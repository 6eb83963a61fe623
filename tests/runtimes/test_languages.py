"""Deno, Bun, Elixir, PDM and Hatch: their real tools, and the registries that are in reach.

hex.pm is not: Elixir's dependency comes from a repository of git.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.support import App
from tests.runtimes.support import build_failed, built, reused

NewApp = Callable[..., App]
Example = Callable[[str], Path]


def change(app: App, path: str, old: str, new: str) -> None:
    text = (app.repository / path).read_text()
    assert old in text
    app.server.commit(app.repository, {path: text.replace(old, new)})


def test_deno(new_app: NewApp, example: Example) -> None:
    app = new_app("deno", example("deno"), push=False)
    first = built(app, "deno")
    assert app.body().startswith("Hello from Deno ")
    assert app.body().endswith(", ms says 2m\n")
    change(app, "main.ts", "Hello", "Goodbye")
    reused(app, quick=False)
    assert app.body().startswith("Goodbye from Deno ")

    # The lock file is what counts: one that does not fit is an error.
    change(app, "deno.json", "2.1.3", "2.1.2")
    build_failed(app, r"`deno install --frozen` failed", r"lockfile is out of date")
    # Without one the build writes it, and no process does so later.
    app.commit(deno_lock=None)
    reused(app, quick=False)
    assert "2.1.2" in (app.server.root / "apps" / app.name / "deno.lock").read_text()
    app.commit(ENV=f"NGINX_SERVER_NAME={app.host}\nDENO_VERSION=2.1.4\n")
    assert built(app, "deno") != first
    assert app.body() == "Goodbye from Deno 2.1.4, ms says 2m\n"


def test_bun(new_app: NewApp, example: Example) -> None:
    app = new_app("bun", example("bun"), push=False)
    first = built(app, "bun")
    assert app.body().startswith("Hello from Bun ")
    assert app.body().endswith(", ms says 2m\n")
    change(app, "server.ts", "Hello", "Goodbye")
    reused(app)
    assert app.body().startswith("Goodbye from Bun ")
    # Without a lock file, it is a line of the Procfile that says whose app this is.
    app.commit(bun_lock=None)
    assert built(app, "bun") != first
    assert app.body().startswith("Goodbye from Bun ")
    change(app, "package.json", "2.1.3", "0.0.99")
    build_failed(app, r"`bun install --no-save` failed")


def test_elixir(new_app: NewApp, example: Example, tmp_path: Path) -> None:
    app = new_app("elixir", example("elixir"), push=False)
    first = built(app, "elixir")
    assert app.body() == "Hello from Elixir 1.14.0, release 1\n"
    change(app, "lib/hello.ex", "Hello from", "Goodbye from")
    reused(app, quick=False)
    assert app.body() == "Goodbye from Elixir 1.14.0, release 2\n"

    app.server.repository("greeting", {
        "mix.exs": 'defmodule Greeting.MixProject do\n  use Mix.Project\n'
        '  def project, do: [app: :greeting, version: "1.0.0"]\nend\n',
        "lib/greeting.ex": 'defmodule Greeting do\n  def text, do: "Greetings from"\nend\n',
    })  # fmt: skip
    place = app.server.client / "greeting"
    deps = f', deps: [{{:greeting, git: "file://{place}", branch: "main"}}]]'
    change(app, "mix.exs", 'elixir: "~> 1.14"]', f'elixir: "~> 1.14"{deps}')
    change(app, "lib/hello.ex", '@greeting "Goodbye from Elixir"', "@greeting Greeting.text()")
    app.commit(Procfile="web: _build/prod/rel/hello/bin/hello start\n")
    assert built(app, "elixir") != first
    assert app.body() == "Greetings from 1.14.0, release 3\n"
    # Two releases of it run beside each other.
    app.commit("Nothing has changed")
    reused(app, quick=False)
    assert app.body() == "Greetings from 1.14.0, release 4\n"
    change(app, "lib/hello.ex", "Greeting.text()", "Greeting.nothing()")
    build_failed(app, r"Greeting\.nothing/0 is undefined", r"`mix compile` failed")
    assert app.body() == "Greetings from 1.14.0, release 4\n"


def test_pdm(new_app: NewApp, example: Example) -> None:
    app = new_app("pdm", example("python-pdm"), push=False)
    first = built(app, "pdm")
    assert app.body().startswith("Hello from PDM.")
    assert app.body().endswith(", itsdangerous 2.2.0\n")
    code = (app.repository / "app.py").read_text()
    app.commit(app_py=code.replace("Hello", "Goodbye"))
    reused(app)
    assert app.body().startswith("Goodbye from PDM.")
    lock = (app.repository / "pdm.lock").read_text()
    app.commit(pdm_lock=lock.replace('version = "2.2.0"', 'version = "0.0.99"'))
    build_failed(app, r"`pdm sync --prod --no-self` failed")
    # Without its lock file, the project is any other's.
    app.commit(pdm_lock=lock)
    assert any(f"Reusing {first}" in line for line in app.deployed())


@pytest.fixture(scope="module")
def hatch(server: Sandbox) -> None:
    """Hatch, where `pipx install hatch` would have put it."""
    place = server.home / ".local" / "share" / "pipx" / "venvs" / "hatch"
    subprocess.run(["virtualenv", "--quiet", place], check=True)
    subprocess.run([place / "bin" / "pip", "install", "--quiet", "hatch"], check=True)
    program = server.home / ".local" / "bin" / "hatch"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.symlink_to(place / "bin" / "hatch")


def test_hatch(hatch: None, new_app: NewApp, example: Example) -> None:
    app = new_app("hatch", example("python-hatch"), push=False)
    first = built(app, "hatch")
    assert app.body().startswith("Hello from Hatch.")
    assert app.body().endswith(", itsdangerous 2.2.0\n")
    code = (app.repository / "app.py").read_text()
    app.commit(app_py=code.replace("Hello", "Goodbye"))
    reused(app, quick=False)
    assert app.body().startswith("Goodbye from Hatch.")
    app.commit(app_py="def (")
    assert any("the release command failed" in line for line in app.failed())
    app.commit(app_py=code)
    change(app, "pyproject.toml", "2.2.0", "2.1.2")
    assert built(app, "hatch") != first
    assert app.body().endswith(", itsdangerous 2.1.2\n")
