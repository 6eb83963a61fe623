"""Python apps with uv: real uv, from PyPI as Debian has none, in the home of the server's user."""

import re
from collections.abc import Callable
from pathlib import Path

from sandbox import Sandbox

from tests.e2e.support import App, wsgi
from tests.runtimes.support import build_failed, built, reused

NewApp = Callable[..., App]

LOCKLESS = '[project]\nname = "it"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["itsdangerous=={}"]\n'
SHOWS_VERSION = """
from importlib.metadata import version
def app(environ, start_response):
    start_response("200 OK", [])
    return [version("itsdangerous").encode()]
"""


def test_the_example(
    uv: Path, new_app: NewApp, example: Callable[[str], Path], server: Sandbox
) -> None:
    app = new_app("uv", example("python-uv"), push=False)
    first = built(app, "uv")
    assert app.body().startswith("Hello from uv.")
    assert app.body().endswith(", itsdangerous 2.2.0\n")
    environment = server.root / "envs" / "uv" / first
    seen = dict(
        line.split("=", 1) for line in app.does("run", "--", "env").splitlines() if "=" in line
    )
    assert seen["UV_PROJECT_ENVIRONMENT"] == seen["VIRTUAL_ENV"] == str(environment)
    assert (environment / "pyvenv.cfg").exists()

    code = (app.repository / "app.py").read_text()
    app.commit(app_py=code.replace("Hello", "Goodbye"))
    reused(app)
    assert app.body().startswith("Goodbye from uv.")

    # The lock file is what counts: one that does not fit is an error.
    project = (app.repository / "pyproject.toml").read_text()
    app.commit(pyproject_toml=project.replace("2.2.0", "2.1.2"))
    build_failed(app, "`uv sync .*--locked` failed", "uv.lock")
    assert app.body().endswith(", itsdangerous 2.2.0\n")
    app.commit(uv_lock=None)
    assert built(app, "uv") != first
    assert app.body().endswith(", itsdangerous 2.1.2\n")


def test_a_project_that_is_installed_itself(uv: Path, new_app: NewApp) -> None:
    project = LOCKLESS.format("2.2.0").replace('"it"', '"shop"') + (
        '[build-system]\nrequires = ["setuptools>=61"]\nbuild-backend = "setuptools.build_meta"\n'
    )
    module = (
        'def app(environ, start_response):\n    start_response("200 OK", [])\n    return [b"%s"]\n'
    )
    files = {
        "Procfile": "wsgi: shop:app\n", "ENV": "", "pyproject.toml": project, "src/shop.py": module % "one",
    }  # fmt: skip
    app = new_app("uv-package", files)
    assert app.body() == "one"
    # Its own code is imported from the tree it was installed from: never from another release's.
    app.server.commit(app.repository, {"src/shop.py": module % "two"})
    built(app, "uv")
    assert app.body() == "two"
    app.does("rollback")
    assert app.body() == "one"


def test_the_version_of_python(uv: Path, new_app: NewApp) -> None:
    files = {
        **wsgi("uv-python"),
        "app.py": SHOWS_VERSION,
        "pyproject.toml": LOCKLESS.format("2.2.0"),
    }
    app = new_app("uv-python", {**files, ".python-version": "3.11\n"})
    assert app.body() == "2.2.0"
    # An older Python is most often served well by a newer one, and the push says so.
    app.server.commit(app.repository, {".python-version": "3.7.2\n"})
    said = app.deployed()
    assert any(
        ".python-version asks for Python 3.7.2, which is not here: 3.11." in line for line in said
    ), said
    app.server.commit(app.repository, {".python-version": "3.14\n"})
    said = app.failed()
    assert any(
        ".python-version asks for Python 3.14, and this server has Python 3.11." in line
        for line in said
    ), said
    assert any("config:set uv-python PIKU_FETCH_RUNTIMES=true" in line for line in said), said
    # The setting is above the file.
    app.does("config:set", "PYTHON_VERSION=3.11")
    assert app.deployed()
    refused = app.says("config:set", "PYTHON_VERSION=3.6")
    assert refused.returncode == 1
    assert "PYTHON_VERSION asks for Python 3.6, and this server has" in refused.stderr


def test_uv_installs_requirements_where_asked_to(
    uv: Path, new_app: NewApp, server: Sandbox
) -> None:
    files = {**wsgi("uv-pip"), "app.py": SHOWS_VERSION, "requirements.txt": "itsdangerous==2.2.0\n"}
    app = new_app("uv-pip", files)
    assert app.body() == "2.2.0"
    app.does("config:set", "PYTHON_INSTALLER=uv")
    assert app.body() == "2.2.0"
    installers = {
        (path / "INSTALLER").read_text().strip()
        for path in (server.root / "envs" / "uv-pip").glob(
            "*/lib/python3*/site-packages/itsdangerous-*.dist-info"
        )
    }
    assert installers == {"pip", "uv"}
    app.commit(requirements_txt="itsdangerous==2.1.2\n")
    built(app, "python")
    assert app.body() == "2.1.2"
    app.commit(requirements_txt="no-such-package-anywhere==1\n")
    build_failed(app, "`uv pip install .*` failed with exit code", "no-such-package-anywhere")
    # pip is there all the same, for the app's own people.
    assert "itsdangerous 2.1.2" in re.sub(r" +", " ", app.does("run", "--", "pip list"))


def test_a_server_without_uv_says_how_to_get_it(uv: Path, new_app: NewApp) -> None:
    hidden = uv.with_name("hidden")
    uv.rename(hidden)
    try:
        app = new_app(
            "no-uv",
            {"Procfile": "wsgi: a:b\n", "pyproject.toml": LOCKLESS.format("2.2.0")},
            push=False,
        )
        said = app.failed()
        assert any(
            "this is a Python (uv) app, and this server lacks: uv" in line for line in said
        ), said
        assert any("pipx install uv" in line for line in said), said
        app.server.commit(
            app.repository, {"requirements.txt": "itsdangerous\n", "ENV": "PYTHON_INSTALLER=uv\n"}
        )
        said = app.failed()
        assert any("the program 'uv' is not installed" in line for line in said), said
        assert any("pipx install uv" in line for line in said), said
    finally:
        hidden.rename(uv)
