"""The ways piku comes onto a laptop: one file, and pip."""

import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import environment
import pytest

from tests.client.laptop import Laptop
from tests.e2e.support import CHECKOUT, App, refused
from tests.e2e.terminal import Terminal

NAME = "market"


@pytest.fixture(scope="module")
def one_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make zipapp` builds."""
    target = tmp_path_factory.mktemp("zipapp") / "piku"
    subprocess.run(
        [sys.executable, "-B", str(CHECKOUT / "tools" / "build_zipapp.py"), str(target)], check=True
    )
    return target


@pytest.fixture(scope="module")
def by_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What pip, and so pipx and uv, install from this checkout."""
    folder = tmp_path_factory.mktemp("pip")
    source = folder / "source"
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(CHECKOUT / "src", source / "src", ignore=left_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source)
    subprocess.run(["virtualenv", "--quiet", str(folder / "venv")], check=True)
    pip = [
        str(folder / "venv" / "bin" / "pip"),
        "install",
        "--quiet",
        "--disable-pip-version-check",
        str(source),
    ]
    subprocess.run(
        pip, check=True, env={**os.environ, **environment.passed_on(environment.REGISTRIES)}
    )
    return folder / "venv" / "bin" / "piku"


@pytest.fixture(params=["one_file", "by_pip"])
def installed(request: pytest.FixtureRequest, laptop: Laptop) -> Laptop:
    return replace(laptop, program=(str(request.getfixturevalue(request.param)),))


def test_it_does_all_that_the_checkout_does(
    installed: Laptop, checkout: Path, shop: App, tmp_path: Path
) -> None:
    says = installed.says
    assert says(tmp_path, "--version").startswith("piku ")
    refused(installed.piku(tmp_path, "apps"), 2, "no git remote")
    assert says(checkout, "apps") == "* market\n"
    assert says(checkout, "config:get", "NGINX_SERVER_NAME") == "market.localhost\n"
    assert installed.piku(checkout, "run", "exit 7").returncode == 7
    assert "config:push" in says(checkout, "help")
    assert "_piku" in says(checkout, env={"_PIKU_COMPLETE": "bash_source"})
    (checkout / "some.env").write_text("SOME=1\n")
    says(checkout, "config:push", "--yes", "some.env")
    assert says(checkout, "config:get", "SOME") == "1\n"
    says(checkout, "config:unset", "SOME")
    (checkout / "sent.txt").write_text("sent")
    says(checkout, "upload", "sent.txt")
    assert (shop.data / "sent.txt").read_text() == "sent"
    fresh = installed.checkout(str(tmp_path / "fresh"), files={"index.html": "hello"})
    assert "static: ." in says(fresh, "init", "me@example.com", "--yes")
    with Terminal(
        installed.server,
        program=[*installed.program, "run", "stty size"],
        env=installed.env,
        cwd=checkout,
        columns=99,
    ) as terminal:
        terminal.wait_for("^24 99")
        assert terminal.ends()[0] == 0


def test_one_file_is_all_there_is(one_file: Path, laptop: Laptop, tmp_path: Path) -> None:
    """It needs nothing of the machine but Python, and is the same file whenever it is built."""
    again = tmp_path / "again"
    subprocess.run(
        [sys.executable, "-B", str(CHECKOUT / "tools" / "build_zipapp.py"), str(again)], check=True
    )
    assert again.read_bytes() == one_file.read_bytes()
    names = zipfile.ZipFile(one_file).namelist()
    assert any("LICENSE" in name for name in names)
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in names)
    # -I and -S keep every other click out.
    alone = replace(laptop, program=("/usr/bin/python3", "-IS", str(one_file)))
    assert "Usage: piku" in alone.says(tmp_path, "help")
    assert "USER@SERVER" in alone.says(tmp_path, "init", "--help")
