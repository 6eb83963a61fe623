"""What is between a laptop and its server: ssh's own words, and what is wrong with a call."""

import shutil
from pathlib import Path

import pytest
from sandbox import run

from tests.client import laptop as laptops
from tests.client.laptop import ALIAS, Laptop
from tests.e2e.support import App, refused

NAME = "depot"


def test_what_ssh_says_comes_as_it_is(laptop: Laptop, checkout: Path, tmp_path: Path) -> None:
    result = laptop.piku(tmp_path, "-r", "no-such-host.invalid:depot", "apps")
    assert result.returncode == 255 and "no-such-host.invalid" in result.stderr
    key = laptop.server.keygen(tmp_path / "stranger")
    stranger = laptops.make(laptop.server, tmp_path / "home", key)
    folder = stranger.checkout("depot", f"{ALIAS}:depot")
    for words in (["apps"], ["config:pull"], ["download", "file"]):
        result = stranger.piku(folder, *words)
        assert result.returncode == 255 and "Permission denied" in result.stderr, words
    assert laptop.piku(checkout, "run", "exit 255").returncode == 255


def test_a_reader_that_goes_away(laptop: Laptop, checkout: Path, shop: App) -> None:
    command = '"$0" run "yes | head -100000" | head -1'
    result = run(["sh", "-c", command, *laptop.program], env=laptop.env, cwd=checkout)
    assert (result.stdout, result.stderr) == ("y\n", "")
    result = run(["sh", "-c", '"$0" help | true', *laptop.program], env=laptop.env, cwd=checkout)
    assert (result.stdout, result.stderr) == ("", "")


def test_no_repository_and_no_remote(laptop: Laptop, tmp_path: Path) -> None:
    refused(laptop.piku(tmp_path, "apps"), 2, "no git remote 'piku'", "-r", "PIKU_SERVER")
    folder = laptop.checkout(str(tmp_path / "bare"))
    refused(laptop.piku(folder, "shell"), 2, "no git remote 'piku'", "git remote add piku")
    assert not (laptop.home / ".piku").exists(), "a command made a server of this laptop"


@pytest.mark.parametrize(
    "address", ["https://example.com/depot", "/srv/git/depot", "-oProxyCommand=touch${IFS}evil:depot",
                "ssh://-oProxyCommand=touch evil/depot", "git@example.com:me/depot.git", "host:a b", "a@b@c:d"],
)  # fmt: skip
def test_what_is_no_address(laptop: Laptop, tmp_path: Path, address: str) -> None:
    folder = laptop.checkout(str(tmp_path / "wrong"))
    laptop.git(folder, "config", "remote.piku.url", address)
    refused(laptop.piku(folder, "apps"), 2)
    assert not list(folder.glob("evil*"))
    refused(laptop.piku(tmp_path, "apps", env={"PIKU_SERVER": address}), 2, "PIKU_SERVER")


def test_without_ssh_or_git(laptop: Laptop, checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "python3", "env", "sh"):
        (programs / name).symlink_to(shutil.which(name) or name)
    nothing = {"PATH": str(programs), "GIT_CONFIG_GLOBAL": "/dev/null"}
    refused(laptop.piku(checkout, "apps", env=nothing), 1, "cannot run the program 'ssh'")
    (programs / "git").unlink()
    (programs / "ssh").symlink_to("/usr/bin/ssh")
    away = {**nothing, "PIKU_SERVER": ALIAS, "GIT_SSH_COMMAND": f"ssh -F '{laptop.ssh_config}'"}
    assert laptop.piku(tmp_path, "apps", env=away).returncode == 0


def test_usage(laptop: Laptop, checkout: Path) -> None:
    refused(laptop.piku(checkout, "-r"), 2, "option -r requires argument")
    refused(laptop.piku(checkout, "init", "--no-such"), 2)
