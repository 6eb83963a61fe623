"""Plugins: commands that the owner of a server adds, over SSH as well, and broken ones."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.conftest import NewApp
from tests.e2e.support import CHECKOUT, refused

EXAMPLE = CHECKOUT / "examples" / "plugin"
HELLO = """\
import click
from .words import GREETING

@click.group()
def group():
    pass

@group.command()
@click.argument("who")
def hello(who):
    "Greet somebody."
    click.echo(f"{GREETING} {who}")

@group.command("hello:code")
@click.argument("code", type=int)
def code(code):
    "End with an exit code."
    return code

@group.command("hello:fail")
def fail():
    "Fail."
    open("/nonexistent/file")

def cli_commands():
    return group
"""


@pytest.fixture
def plugins(server: Sandbox) -> Iterator[Path]:
    """The folder of the shared server's plugins, empty before and after."""
    folder = server.root / "plugins"
    assert list(folder.iterdir()) == []
    yield folder
    for entry in folder.iterdir():
        shutil.rmtree(entry)


def plugin(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(text)
    (folder / name / "words.py").write_text("GREETING = 'Hello'\n")


def test_the_example(server: Sandbox, plugins: Path, new_app: NewApp) -> None:
    new_app("measured")
    refused(server.ssh("size"), 2, "there is no command 'size'")
    shutil.copytree(EXAMPLE / "size", plugins / "size")
    listed = server.ssh("size --json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert json.loads(listed.stdout)["measured"] > 10_000
    of_one = server.ssh("size:of measured")
    assert (of_one.returncode, " MB  repos\n" in of_one.stdout) == (0, True)
    refused(server.ssh("size:of nosuch"), 1, "there is no app called 'nosuch'")
    assert "size:of" in server.ssh("help").stdout
    assert "folder by folder" in server.ssh("help size:of").stdout


def test_the_tests_of_the_example(tmp_path: Path) -> None:
    folder = tmp_path / "plugin"
    shutil.copytree(EXAMPLE, folder)
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    environment = {"PYTHONPATH": f"{CHECKOUT}/src"}
    ran = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=environment
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_commands_of_a_plugin(server: Sandbox, plugins: Path) -> None:
    plugin(plugins, "greeter", HELLO)
    shown = server.piku("help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "hello:code" in shown.stdout and "Greet somebody." in shown.stdout
    for words in ("there", "you two", "$HOME `id` *"):
        assert server.piku("hello", words).stdout == f"Hello {words}\n"
    assert server.ssh("hello 'a  b'").stdout == "Hello a  b\n"
    assert server.ssh("hello:code 7").returncode == 7
    refused(server.piku("hello"), 2, "missing argument", "piku hello --help")
    refused(server.piku("helo", "x"), 2, "did you mean 'hello'?")
    refused(server.piku("hello:fail"), 1, "the plugin greeter failed: FileNotFoundError")
    assert not (server.root / "uwsgi" / "fault.log").exists()


BROKEN = {
    "syntax": "import click\ndef cli_commands(:\n",
    "raises": "import click\n1 / 0\n",
    "exits": "import sys\nsys.exit(0)\n",
    "missing": "import nosuch_module\n",
    "wrong": "def cli_commands():\n    return 'x'\n",
    "calls": "def cli_commands():\n    return x\n",
    "helps": "import click\ndef cli_commands():\n    return [click.Command('bad', help=5)]\n",
}


def test_a_broken_plugin_costs_one_line(server: Sandbox, plugins: Path) -> None:
    for name, text in BROKEN.items():
        plugin(plugins, name, text)
    plugin(plugins, "zgood", HELLO)
    fine = server.piku("hello", "all")
    assert (fine.returncode, fine.stdout) == (0, "Hello all\n")
    warned = [line.removeprefix(" !     the plugin ") for line in fine.stderr.splitlines()]
    assert sorted(line.partition(" is not used: ")[0] for line in warned) == sorted(BROKEN)
    assert "hello:code" in server.piku("help").stdout
    apps = server.ssh("apps")
    assert (apps.returncode, apps.stderr) == (0, ""), "a core command loads no plugin"


def test_the_commands_of_piku_win(server: Sandbox, plugins: Path) -> None:
    thief = "import click\ndef cli_commands():\n    return [click.Command(n, callback=lambda: print('me'))"
    plugin(plugins, "thief", f"{thief} for n in ('apps', 'own', 'hello')]\n")
    plugin(plugins, "greeter", HELLO)
    assert "me" not in server.piku("apps").stdout.splitlines()
    assert server.piku("own").stdout == "me\n"
    assert server.piku("hello", "x").stdout == "Hello x\n"


def test_an_extra_of_a_plugin(server: Sandbox, plugins: Path, new_app: NewApp) -> None:
    app = new_app("added")
    text = """\
import click
from piku.cli.common import with_flag
from piku.extra import Extra

def mine(deploy):
    return with_flag(deploy, click.Option(["--mine"], metavar="WORD"), dry)

def dry(word, app, **others):
    print("not done:", word, app.name)

EXTRA = Extra(name="mine", flags={"deploy": "piku_plugins.mine:mine"})
"""
    plugin(plugins, "mine", text)
    assert app.does("deploy", "--mine", "x") == "not done: x added\n"


def test_housekeeping_goes_on_after_what_fails(server: Sandbox, plugins: Path) -> None:
    text = """\
from piku.extra import Extra

def due(paths):
    (paths.root / "plugins" / "done").mkdir() if __name__.endswith("second") else {}["key"]

EXTRA = Extra(name=__name__, periodic=f"{__name__}:due")
"""
    for name in ("first", "second"):
        plugin(plugins, name, text)
    assert "KeyError: 'key'" in server.piku("housekeeping").stdout
    assert (plugins / "done").is_dir()
