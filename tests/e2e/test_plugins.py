"""Plugins: commands that the owner of a server adds, over SSH as well, and what is wrong with some."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox import Completed, Sandbox

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
    folder.chmod(0o750)


def plugin(folder: Path, name: str, text: str, **modules: str) -> Path:
    place = folder / name
    place.mkdir()
    for module, source in {"__init__": text, **modules}.items():
        (place / f"{module}.py").write_text(source)
        (place / f"{module}.py").chmod(0o644)
    return place / "__init__.py"


def remark(result: Completed, *words: str) -> str:
    """See that standard error is one line in which these words are."""
    (line,) = result.stderr.splitlines()
    assert line.startswith(" !     "), line
    for word in words:
        assert word in line, line
    return line


def test_the_example(server: Sandbox, plugins: Path, new_app: NewApp) -> None:
    new_app("measured")
    refused(server.ssh("size"), 2, "there is no command 'size'")
    shutil.copytree(EXAMPLE / "size", plugins / "size")
    listed = server.ssh("size --json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert json.loads(listed.stdout)["measured"] > 10_000
    assert " MB  measured\n" in server.piku("size").stdout
    of_one = server.ssh("size:of measured")
    assert (of_one.returncode, " MB  repos\n" in of_one.stdout) == (0, True)
    refused(server.ssh("size:of nosuch"), 1, "there is no app called 'nosuch'")
    assert "size:of" in server.ssh("help").stdout
    assert "folder by folder" in server.ssh("help size:of").stdout
    assert "folder by folder" in server.ssh("size:of --help").stdout


def test_the_tests_of_the_example(tmp_path: Path) -> None:
    folder = tmp_path / "plugin"
    shutil.copytree(EXAMPLE, folder)
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    ran = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": f"{CHECKOUT}/src"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 passed" in ran.stdout


def test_commands_of_a_plugin(server: Sandbox, plugins: Path) -> None:
    plugin(plugins, "greeter", HELLO, words="GREETING = 'Hello'\n")
    for text in ("help", "--help"):
        shown = server.piku(text)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "hello:code" in shown.stdout and "Greet somebody." in shown.stdout
    for words in ("there", "you two", "$HOME `id` *"):
        assert server.piku("hello", words).stdout == f"Hello {words}\n"
    assert server.ssh("hello 'a  b'").stdout == "Hello a  b\n"
    assert server.ssh("hello:code 7").returncode == 7
    refused(server.piku("hello"), 2, "missing argument", "piku hello --help")
    refused(server.piku("helo", "x"), 2, "did you mean 'hello'?")
    said = refused(server.piku("hello:fail"), 1, "the plugin greeter failed", "FileNotFoundError")
    assert f"{plugins}/greeter/__init__.py:23: " in said
    assert not (server.root / "uwsgi" / "fault.log").exists()


BROKEN = {
    "syntax": ("import click\ndef cli_commands(:\n", ":2: SyntaxError: "),
    "raises": ("import click\n\n1 / 0\n", ":3: ZeroDivisionError: division by zero"),
    "deep": ("from . import inner\n", "inner.py:2: ValueError: of mine"),
    "exits": ("import sys\nsys.exit(0)\n", ":2: SystemExit: 0"),
    "missing": ("import nosuch_module\n", ":1: ModuleNotFoundError: "),
    "empty": ("", " has no function cli_commands()"),
    "wrong": (
        "def cli_commands():\n    return 'x'\n",
        ":1: cli_commands() gives no click command, but str 'x'",
    ),
    "none": (
        "x = 1\n\ndef cli_commands():\n    pass\n",
        ":3: cli_commands() gives no click command",
    ),
    "mixed": (
        "def cli_commands():\n    return [1]\n",
        ":1: cli_commands() gives no click command, but int 1",
    ),
    "calls": ("def cli_commands():\n    return x\n", ":2: NameError: "),
    "names": (
        "import click\ndef cli_commands():\n    return click.Command('a b')\n",
        ":2: 'a b' is no name for a command",
    ),
    "prints": (
        "import click\nprint('loud')\ndef cli_commands():\n    raise KeyError('k')\n",
        ":4: KeyError: 'k'",
    ),
    "helps": (
        "import click\ndef cli_commands():\n    return [click.Command('bad', help=5)]\n",
        "__init__.py: the command 'bad': AttributeError: ",
    ),
    "unlisted": (
        "import click\nclass Own(click.Command):\n    def get_short_help_str(self, limit=45):\n"
        "        raise RuntimeError('of mine')\ndef cli_commands():\n    return Own('bad')\n",
        ":4: the command 'bad': RuntimeError: of mine",
    ),
    "numbers": (
        "import click\nclass Own(click.Command):\n    def get_short_help_str(self, limit=45):\n"
        "        return 5\ndef cli_commands():\n    return Own('bad')\n",
        "the command 'bad': TypeError: its help is no text, but int",
    ),
    "keys": (
        "import click\ndef cli_commands():\n    return click.Group(commands={5: click.Command('bad')})\n",
        ":2: 5 is no name for a command",
    ),
    "wordless": (
        "class Own(Exception):\n    def __str__(self):\n        return 1 / 0\nraise Own\n",
        "__init__.py:4: Own",
    ),
    "ends": (
        "import os\nos._exit(7)\n",
        "__init__.py: it ends the process that loads it, with exit code 7",
    ),
    "killed": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
        "__init__.py: it ends the process that loads it, by signal 9",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_told_of_in_one_line(server: Sandbox, plugins: Path, name: str) -> None:
    text, expected = BROKEN[name]
    place = plugin(plugins, name, text, inner="pass\nraise ValueError('of mine')\n")
    plugin(plugins, "zgood", HELLO, words="GREETING = 'Hello'\n")
    fine = server.piku("hello", "all")
    assert (fine.returncode, fine.stdout) == (0, "Hello all\n")
    lines = [line for line in fine.stderr.splitlines() if line != "loud"]
    assert len(lines) == 1 and lines[0].startswith(f" !     the plugin {name} is not used: "), (
        fine.stderr
    )
    assert expected in lines[0] and str(place.parent) in lines[0]
    shown = server.piku("help")
    assert (shown.returncode, expected in shown.stderr, "hello:code" in shown.stdout) == (
        0,
        True,
        True,
    )
    # Nobody who uses a command of piku's own hears of it.
    apps = server.ssh("apps")
    assert (apps.returncode, apps.stderr) == (0, "")
    unknown = server.piku("nosuch")
    assert unknown.returncode == 2 and "there is no command 'nosuch'" in unknown.stderr
    named = server.piku("names")
    assert (named.returncode, "hello" in json.loads(named.stdout)["commands"]) == (0, True)


def test_a_plugin_that_never_comes_back(server: Sandbox, plugins: Path) -> None:
    plugin(plugins, "hangs", "import subprocess\nsubprocess.run(['sleep', '1000'])\n")
    plugin(plugins, "zgood", HELLO, words="GREETING = 'Hello'\n")
    shown = server.piku("help")
    assert (shown.returncode, "hello:code" in shown.stdout) == (0, True)
    assert "hangs/__init__.py: it did not come back within 10 s" in remark(shown)
    assert not [one for one in server.processes() if "sleep 1000" in str(one)]


def test_the_commands_of_piku_win(server: Sandbox, plugins: Path) -> None:
    thief = "import click\ndef cli_commands():\n    return [click.Command(n, callback=lambda: print('me'))"
    plugin(plugins, "thief", f"{thief} for n in ('apps', 'own', 'hello')]\n")
    plugin(plugins, "greeter", HELLO, words="GREETING = 'Hello'\n")
    assert "me" not in server.piku("apps").stdout.splitlines()
    shown = server.piku("help")
    assert "the plugin thief does not get 'apps', a command of piku itself" in shown.stderr
    assert "the plugin thief does not get 'hello', a command of the plugin greeter" in shown.stderr
    assert server.piku("own").stdout == "me\n"
    assert server.piku("hello", "x").stdout == "Hello x\n"


def test_what_others_may_write_is_not_run(server: Sandbox, plugins: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    ran.parent.chmod(0o755)
    place = plugin(
        plugins, "open", f"open({str(ran)!r}, 'w')\n{HELLO}", words="GREETING = 'Hello'\n"
    )
    for path, mode in (
        (place, 0o666),
        (place.parent / "words.py", 0o646),
        (place.parent, 0o777),
        (plugins, 0o777),
    ):
        before = path.stat().st_mode
        path.chmod(mode)
        refusal = server.piku("hello", "x")
        assert refusal.returncode == 2
        assert (
            f"the plugin open is not used: {path} can be written by others: chmod go-w {path}"
            in refusal.stderr
        )
        assert not ran.exists()
        path.chmod(before)
    assert server.piku("hello", "x").stdout == "Hello x\n"
    assert ran.exists()
    # Root's are trusted; those of any other user are not. Here "another user" is who owns the tests' own
    # /usr, seen from a user namespace in which that is nobody known.
    shutil.rmtree(place.parent)
    (plugins / "open").mkdir()
    (plugins / "open" / "__init__.py").touch()
    bound = f'mount --bind /etc/passwd "{place}" && exec "$0" "$@"'
    command = ["unshare", "-Urm", "sh", "-c", bound, f"{CHECKOUT}/bin/piku", "hello", "x"]
    seen = subprocess.run(
        command, env=server.server_env(), capture_output=True, text=True, check=False
    )
    assert seen.returncode == 2
    assert f"{place} belongs to another user" in seen.stderr


def test_core_commands_do_not_pay_for_plugins(server: Sandbox, plugins: Path) -> None:
    for number in range(5):
        plugin(plugins, f"slow{number}", "import time\ntime.sleep(1)\ndef cli_commands(): pass\n")
    begun = time.monotonic()
    assert server.piku("apps").returncode == 0
    assert time.monotonic() - begun < 4
