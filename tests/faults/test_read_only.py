"""The disk has become read-only, as Debian mounts it after an error: what reads goes on, the rest says so."""

import shlex

import pytest
from laptop import run
from sandbox import Sandbox

from piku.cli.commands import COMMANDS
from tests.faults.namespaces import needed, read_only
from tests.faults.support import App, new_app, succeeded

pytestmark = needed
READS = {
    "apps": "",
    "releases": "APP",
    "config": "APP",
    "config:get": "APP NGINX_SERVER_NAME",
    "config:live": "APP",
    "ps": "APP",
    "logs": "APP --no-follow",
    "help": "",
    "git-upload-pack": "APP",
}
WRITES = {
    "deploy": "APP",
    "rollback": "APP v1",
    "destroy": "APP --force",
    "config:set": "APP COLOUR=blue",
    "config:unset": "APP SHAPE",
    "ps:scale": "APP web=2",
    "restart": "APP",
    "stop": "APP",
    "setup:ssh": "KEY",
    "git-receive-pack": "APP",
    "git-hook": "APP",
    "up": "",
    "serve:nginx": "",
    "serve:emperor": "",
}
OTHERS = {
    "run": "what it runs decides",
    "scp": "what is copied decides",
    "setup": "there is nothing to make",
    "housekeeping": "test_housekeeping_goes_on",
}


@pytest.fixture(scope="module")
def app(server: Sandbox) -> App:
    made = new_app(server, "site", "web")
    succeeded(server.piku("config:set", made.name, "SHAPE=round"))
    made.offer()
    made.number -= 1  # it is not deployed
    return made


def attempt(app: App, name: str, words: str) -> tuple[int, str, str]:
    server = app.server
    piku = str(server.checkout / "bin" / "piku")
    given = words.replace("APP", app.name).replace("KEY", f"{server.key}.pub")
    commits = server.git(app.repository, "log", "-2", "--reverse", "--format=%H").stdout
    commits = " ".join(commits.split())
    result = run(
        read_only(server.home, piku, name, *shlex.split(given)),
        env=server.server_env(),
        cwd=server.home,
        text=f"{commits} refs/heads/main\n" if name == "git-hook" else "0000",
    )
    return result.returncode, result.stdout, result.stderr


def test_every_command_is_tried() -> None:
    assert {*READS, *WRITES, *OTHERS} == {*COMMANDS}


@pytest.mark.parametrize("name", READS)
def test_what_reads_goes_on(app: App, name: str) -> None:
    code, said, errors = attempt(app, name, READS[name])
    assert code == 0, said + errors
    assert said


@pytest.mark.parametrize("name", WRITES)
def test_what_writes_says_so(app: App, name: str) -> None:
    newest = app.newest()
    code, said, errors = attempt(app, name, WRITES[name])
    print(said, errors)
    assert code == 1
    assert "Read-only file system" in said + errors
    assert "Traceback" not in said + errors and "piku itself failed" not in said + errors
    assert app.body() == app.version
    assert app.newest() == newest


def test_housekeeping_goes_on(app: App) -> None:
    """One work that fails keeps nothing else from being done."""
    code, said, errors = attempt(app, "housekeeping", "")
    assert code == 0, said + errors
    assert (said + errors).count("Read-only file system") >= 2
    assert "piku itself failed" not in said + errors
