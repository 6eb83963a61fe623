"""Commands of the laptop's owner, and the list of all commands."""

from pathlib import Path

import pytest

from tests.client.laptop import ALIAS, Laptop
from tests.e2e.support import App

NAME = "kiosk"


@pytest.fixture(scope="module")
def path(laptop: Laptop) -> dict[str, str]:
    """A PATH with plugins."""
    folder = laptop.home / "bin"
    folder.mkdir()
    (folder / "piku").symlink_to(laptop.program[0])
    scripts = {
        "piku-hello": 'echo "$PIKU_SERVER|$PIKU_APP|$PIKU_REMOTE|$*"; cat; exit 3',
        "piku-open": "echo never",
        "piku-nested": "exec piku config:get NGINX_SERVER_NAME",
    }
    for name, script in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return {"PATH": f"{folder}:{laptop.env['PATH']}"}


def test_a_plugin_knows_the_server_and_the_app(
    laptop: Laptop, checkout: Path, path: dict[str, str], tmp_path: Path
) -> None:
    result = laptop.piku(checkout, "hello", "a b", "--flag", input="typed\n", env=path)
    assert (result.returncode, result.stdout) == (3, f"{ALIAS}|kiosk|piku|a b --flag\ntyped\n")
    server = laptop.server
    remote = f"ssh://{server.user}@127.0.0.1:{server.ssh_port}"
    result = laptop.piku(tmp_path, "-r", f"{remote}/kiosk", "hello", env=path)
    assert result.stdout == f"{remote}|kiosk||\n"
    # What it calls goes to the same server.
    assert laptop.says(tmp_path, "-r", f"{remote}/kiosk", "nested", env=path) == "kiosk.localhost\n"
    assert "never" not in laptop.piku(checkout, "open", env={**path, "BROWSER": "true"}).stdout
    assert laptop.piku(checkout, "../bin/piku-hello", env=path).returncode == 2


def test_the_list_of_commands(laptop: Laptop, checkout: Path, shop: App, tmp_path: Path) -> None:
    for words in ([], ["help"], ["-h"], ["--help"]):
        said = laptop.says(checkout, *words)
        listed = [line.split()[0] for line in said.splitlines() if line.startswith("  ")]
        for name in ("logs", "config:set", "init", "config:push"):
            assert listed.count(name) == 1, (name, said)
        assert "git-receive-pack" not in said
    assert "USER@SERVER" in laptop.says(checkout, "help", "init")
    assert "USER@SERVER" in laptop.says(checkout, "init", "--help")
    assert "PROCESS" in laptop.says(checkout, "help", "logs")
    assert "PROCESS" in laptop.says(checkout, "logs", "--help")
    assert "config:push" in laptop.says(tmp_path, "help"), "without a server, too"
