"""What people start from, pushed as its maker made it: a commit without a Procfile."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.support import App
from tests.runtimes.conftest import NewApp

# Needs nothing but its own files: what a browser gets is the example's greeting.
EXAMPLES = {
    "go": "web: bin/hello", "rust": "web: target/debug/hello", "php": "php: public",
    "howto-fastapi": "web: uvicorn app:app --host $BIND_ADDRESS --port $PORT",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Template:
    """`make` has a folder filled by the programs of those who publish it; `added` are the files that
    it lacks to be installed at all."""

    make: Callable[[Path], None]
    line: str
    path: str
    shows: str
    added: Mapping[str, str]


def npx(*words: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        subprocess.run(["npx", "--yes", *words], cwd=folder, check=True, stdin=subprocess.DEVNULL)

    return make


def from_source(package: str, inner: str) -> Callable[[Path], None]:
    """A folder of a Python package's source archive."""

    def make(folder: Path) -> None:
        place = folder.with_name("source")
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(place),
        ]
        subprocess.run([*pip, "--no-binary", package, package], check=True)
        archive = next(place.glob("*.tar.gz"))
        subprocess.run(["tar", "-xzf", str(archive), "-C", str(place)], check=True)
        shutil.copytree(place / archive.name.removesuffix(".tar.gz") / inner, folder)

    return make


def startproject(folder: Path) -> None:
    place = folder.with_name("django")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(place)]
    subprocess.run([*pip, "Django==5.2.*"], check=True)
    folder.mkdir()
    django = [sys.executable, "-m", "django", "startproject", "mysite", str(folder)]
    subprocess.run(django, env={"PYTHONPATH": str(place)}, check=True)


TEMPLATES = {
    "express": Template(
        make=npx("express-generator", "--no-view", "."), line="web: npm start", path="/users",
        shows="respond with a resource", added={},
    ),
    "vite": Template(
        make=npx("create-vite", ".", "--template", "vanilla", "--no-interactive"), line="static: dist", path="/",
        shows="/assets/index-", added={},
    ),
    "docsify": Template(
        make=npx("docsify-cli", "init", "./docs"), line="static: docs", path="/README.md", shows="Headline", added={},
    ),
    "flaskr": Template(
        make=from_source("flask", "examples/tutorial"), line="wsgi: flaskr:create_app()", path="/hello",
        shows="Hello, World!", added={"ENV": "PIKU_HEALTHCHECK_PATH=/hello\n"},  # "/" needs `flask init-db`
    ),
    "fastapi": Template(
        make=from_source("fastapi", "docs_src/bigger_applications"), path="/?token=jessica", shows="Hello",
        line="web: uvicorn app.main:app --host $BIND_ADDRESS --port $PORT",
        added={"requirements.txt": "fastapi[standard]\n"},
    ),
    "django": Template(
        make=startproject, line="wsgi: mysite.wsgi:application", path="/", shows="The install worked successfully",
        added={"requirements.txt": "Django==5.2.*\n"},
    ),
}  # fmt: skip


def running(app: App, line: str) -> None:
    said = app.deployed()
    assert any(f"No Procfile: running `{line}`" in each for each in said), said


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_without_its_procfile(
    new_app: NewApp, example: Callable[[str], Path], name: str
) -> None:
    app = new_app(f"no-procfile-{name}", example(name), push=False)
    unneeded = ("Procfile", "rust-toolchain.toml")
    for file in unneeded:
        (app.repository / file).unlink(missing_ok=True)
    app.commit("As people have it")
    running(app, EXAMPLES[name])
    assert app.status("/docs" if name == "howto-fastapi" else "/") == 200


@pytest.mark.usefixtures("uv")
@pytest.mark.parametrize("name", TEMPLATES)
def test_what_people_start_from(new_app: NewApp, tmp_path: Path, name: str) -> None:
    template = TEMPLATES[name]
    app = new_app(f"from-{name}", {"ENV": ""}, push=False)
    template.make(tmp_path / "made")
    shutil.copytree(tmp_path / "made", app.repository, dirs_exist_ok=True)
    for file, text in template.added.items():
        with (app.repository / file).open("a") as opened:
            opened.write(text)
    app.commit("What its maker made, and what it lacks")
    running(app, template.line)
    assert template.shows in app.body(template.path)
