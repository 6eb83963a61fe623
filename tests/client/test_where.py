"""Which piku is meant, on a machine that may be a server, a laptop, or both."""

import shlex
from collections.abc import Callable
from pathlib import Path

from sandbox import Sandbox

from tests.client.laptop import ALIAS, Laptop
from tests.e2e.support import App, refused

NAME = "stall"


def test_a_machine_that_is_both(laptop: Laptop, tmp_path: Path, checkout: Path) -> None:
    # A server of its own that has no apps; the real one has.
    home = tmp_path / "both"
    (home / ".piku" / "repos" / "local").mkdir(parents=True)
    (home / ".gitconfig").write_text((laptop.home / ".gitconfig").read_text())
    both = {"HOME": str(home)}
    assert laptop.says(home, "apps", env=both) == "  local\n"
    refused_twice = laptop.piku(checkout, "apps", env=both)
    assert refused_twice.returncode == 2
    assert "piku -r piku" in refused_twice.stderr and "PIKU_ROOT" in refused_twice.stderr
    assert "stall" in laptop.says(checkout, "-r", "piku", "apps", env=both)
    assert "stall" in laptop.says(checkout, "apps", env={**both, "PIKU_SERVER": ALIAS})
    local = {**both, "PIKU_ROOT": str(home / ".piku")}
    assert laptop.says(checkout, "apps", env=local) == "  local\n"
    assert "stall" in laptop.says(checkout, "apps", env={**local, "PIKU_SERVER": ALIAS})
    assert "stall" in laptop.says(home, "-r", f"{ALIAS}:stall", "apps", env=local)


def test_what_is_about_this_machine_stays_here(
    laptop: Laptop, tmp_path: Path, checkout: Path
) -> None:
    home = {"HOME": str(tmp_path)}
    assert "is ready" in laptop.says(checkout, "setup", env=home)
    assert (tmp_path / ".piku" / "repos").is_dir()
    assert laptop.says(checkout, "--version").startswith("piku ")


def test_the_words_of_a_client_on_the_server(server: Sandbox, shop: App) -> None:
    assert server.ssh("piku apps").stdout == server.ssh("apps").stdout
    assert server.ssh("piku --app stall config:get NGINX_SERVER_NAME").stdout == "stall.localhost\n"
    assert (
        server.piku("-a", "stall", "config:get", "NGINX_SERVER_NAME").stdout == "stall.localhost\n"
    )
    assert server.piku("-a", "stall", "apps").returncode == 0
    refused(server.ssh("piku -r somewhere apps"), 2, "this is the server")
    for command in ("init", "open", "shell", "download x", "config:push"):
        refused(server.ssh(command), 2, "for a laptop")
    assert "config:push" not in server.ssh("help").stdout
    # A client of another server may have said these before the platform was started.
    assert server.piku("apps", env={"PIKU_APP": "other"}).returncode == 0


def test_a_command_that_an_app_of_that_name_could_be(
    new_app: Callable[..., App], laptop: Laptop, tmp_path: Path
) -> None:
    """What words mean does not depend on which apps there are."""
    new_app("porter")
    app = new_app("twin")
    folder = laptop.checkout(str(tmp_path / "twin"), f"{ALIAS}:twin")
    refused(laptop.piku(folder, "logs", "--no-follow", "porter"), 1, "porter")
    assert laptop.says(folder, "logs", "porter", "--no-follow", "build") != ""
    result = laptop.piku(folder, "run", "twin")
    assert result.returncode == 127, "the program of that name"
    assert laptop.says(folder, "run", "twin", "echo", "yes") == "yes\n"
    app.does("config:set", "A=1")
    laptop.says(folder, "rollback")
    assert laptop.says(folder, "config") == ""
    laptop.says(folder, "rollback", "v2")
    assert laptop.says(folder, "config") == "A=1\n"
    assert shlex.split(
        laptop.says(folder, "--app", "porter", "config:get", "NGINX_SERVER_NAME")
    ) == ["porter.localhost"]
