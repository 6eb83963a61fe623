"""Python apps with Poetry: the real Poetry of Debian.

The projects here name the package index as a source of theirs: Debian's Poetry otherwise asks PyPI's JSON
interface, which mirrors of PyPI often do not have.
"""

from collections.abc import Callable
from pathlib import Path

from sandbox import Sandbox

from tests.e2e.support import App
from tests.runtimes.support import build_failed, built, reused

NewApp = Callable[..., App]

SOURCE = (
    '\n[[tool.poetry.source]]\nname = "index"\nurl = "https://pypi.org/simple/"\ndefault = true\n'
)


def test_the_example(new_app: NewApp, example: Callable[[str], Path], server: Sandbox) -> None:
    app = new_app("poetry", example("python-poetry"), push=False)
    project = (app.repository / "pyproject.toml").read_text() + SOURCE
    app.commit(pyproject_toml=project)
    first = built(app, "poetry")
    assert app.body().startswith("Hello from Poetry.")
    assert app.body().endswith(", itsdangerous 2.2.0\n")
    environment = server.root / "envs" / "poetry" / first
    assert (server.root / "apps" / "poetry" / ".venv").readlink() == environment
    seen = dict(
        line.split("=", 1) for line in app.does("run", "--", "env").splitlines() if "=" in line
    )
    assert seen["POETRY_VIRTUALENVS_IN_PROJECT"] == "1"
    assert seen["VIRTUAL_ENV"] == str(environment)

    app.commit(app_py=(app.repository / "app.py").read_text().replace("Hello", "Goodbye"))
    reused(app)
    assert app.body().startswith("Goodbye from Poetry.")
    assert (server.root / "apps" / "poetry" / ".venv").readlink() == environment

    app.commit(pyproject_toml=project.replace("2.2.0", "2.1.2"))
    assert built(app, "poetry") != first
    assert app.body().endswith(", itsdangerous 2.1.2\n")

    app.commit(pyproject_toml=project.replace("2.2.0", "99.9"))
    build_failed(app, "`poetry install .*` failed", "itsdangerous .*99.9")
    assert app.body().endswith(", itsdangerous 2.1.2\n")


def test_a_project_that_is_installed_itself(new_app: NewApp) -> None:
    project = """\
[tool.poetry]
name = "it-shop"
version = "1"
description = ""
authors = []
[tool.poetry.dependencies]
python = "^3.11"
[tool.poetry.scripts]
greet = "it_shop:greet"
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"
"""
    module = "def greet():\n    print('{0}')\ndef app(_, start):\n    start('200 OK', [])\n    return [b'{0}']\n"
    files = {
        "Procfile": "wsgi: it_shop:app\n", "pyproject.toml": project,
        "src/it_shop/__init__.py": module.format("one"),
    }  # fmt: skip
    app = new_app("poetry-package", files)
    assert app.body() == "one"
    app.server.commit(app.repository, {"src/it_shop/__init__.py": module.format("two")})
    built(app, "poetry")
    assert app.body() == "two"
    assert app.does("run", "--", "greet") == "two\n"
    app.does("rollback")
    assert (app.body(), app.does("run", "--", "greet")) == ("one", "one\n")
