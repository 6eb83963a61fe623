"""Commands of the laptop's owner, and the list of all commands."""

from pathlib import Path

import pytest

from tests.client.laptop import ALIAS, Laptop
from tests.e2e.support import App

NAME = "kiosk"


SERVER_PLUGIN = """\
import click

@click.command("greet")
@click.argument("app")
def greet(app):
    "Greet an app."
    click.echo(f"hello {app}")

def cli_commands():
    return greet
"""


@pytest.fixture(scope="module")
def plugins(laptop: Laptop) -> Path:
    folder = laptop.home / ".piku" / "client-plugins"
    folder.mkdir(parents=True)
    scripts = {
        "hello": 'echo "$PIKU_SERVER|$PIKU_APP|$PIKU_REMOTE|$*"; cat; exit 3',
        "apps": "echo never",
        "open": "echo never",
        "greet": "echo never",
        "nested": "exec piku-itself config:get NGINX_SERVER_NAME",
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    (folder / "notes.txt").write_text("no program")
    own = laptop.server.root / "plugins" / "greeter"
    own.mkdir(parents=True)
    (own / "__init__.py").write_text(SERVER_PLUGIN)
    return folder


def test_a_plugin_knows_the_server_and_the_app(
    laptop: Laptop, checkout: Path, plugins: Path, tmp_path: Path
) -> None:
    result = laptop.piku(checkout, "hello", "a b", "--flag", input="typed\n")
    assert (result.returncode, result.stdout) == (3, f"{ALIAS}|kiosk|piku|a b --flag\ntyped\n")
    server = laptop.server
    remote = f"ssh://{server.user}@127.0.0.1:{server.ssh_port}"
    result = laptop.piku(tmp_path, "-r", f"{remote}/kiosk", "hello")
    assert result.stdout == f"{remote}|kiosk||\n"
    # What it calls goes to the same server.
    (plugins / "piku-itself").symlink_to(laptop.program[0])
    path = {"PATH": f"{plugins}:{laptop.env['PATH']}"}
    assert laptop.says(tmp_path, "-r", f"{remote}/kiosk", "nested", env=path) == "kiosk.localhost\n"


def test_commands_of_the_machine_and_the_server_win(
    laptop: Laptop, checkout: Path, plugins: Path
) -> None:
    assert "never" not in laptop.says(checkout, "apps")
    assert "never" not in laptop.piku(checkout, "open", env={"BROWSER": "true"}).stdout
    # A plugin of the server takes the app like any command.
    assert laptop.says(checkout, "greet") == "hello kiosk\n"
    assert laptop.piku(checkout, "notes.txt").returncode == 2
    assert laptop.piku(checkout, "../client-plugins/hello").returncode == 2


def test_the_list_of_commands(
    laptop: Laptop, checkout: Path, shop: App, plugins: Path, tmp_path: Path
) -> None:
    for words in ([], ["help"], ["-h"], ["--help"]):
        said = laptop.says(checkout, *words)
        listed = [
            line.split()[0] for line in said.splitlines() if line.startswith("  ") and line.split()
        ]
        for name in ("logs", "config:set", "greet", "init", "config:push", "hello"):
            assert listed.count(name) == 1, (name, said)
        assert f"kiosk on {ALIAS}" in said
        assert "git-receive-pack" not in said and "notes.txt" not in said
    assert "USER@SERVER" in laptop.says(checkout, "help", "init")
    assert "USER@SERVER" in laptop.says(checkout, "init", "--help")
    assert "PROCESS" in laptop.says(checkout, "help", "logs")
    assert "PROCESS" in laptop.says(checkout, "logs", "--help")
    # Without a server, too.
    assert "config:push" in laptop.says(tmp_path, "help")
    away = laptop.piku(tmp_path, "-r", "no-such-host.invalid:kiosk", "help")
    assert away.returncode == 0
    assert "ps:scale" in away.stdout and "did not answer" in away.stderr
