"""Keys with roles on a real server, through sshd, git, scp and sftp."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from laptop import run
from sandbox import Completed, Sandbox

from tests.e2e.support import App, refused

NewApp = Callable[..., App]


def key_of(server: Sandbox, name: str, *limits: str) -> Path:
    """A new key that was added with these limits."""
    key = server.keygen(server.key.parent / name, comment=name)
    added = server.piku("keys:add", name, f"{key}.pub", *limits)
    assert added.returncode == 0, added.stderr
    return key


@pytest.fixture(scope="module")
def deploy_key(server: Sandbox) -> Path:
    return key_of(server, "ann", "--app", "ann-*")


def test_a_deploy_key(server: Sandbox, new_app: NewApp, deploy_key: Path) -> None:
    theirs = new_app("bob-site")
    ours = new_app("ann-site", push=False)
    pushed = server.push(ours.repository, "ann-site", key=deploy_key)
    assert pushed.returncode == 0, pushed.stdout
    assert server.ssh("apps --plain", key=deploy_key).stdout == "ann-site\n"
    assert "bob-site" not in server.ssh("ps", key=deploy_key).stdout
    assert server.ssh("restart ann-site", key=deploy_key).returncode == 0
    # Another's app, a new one of another name, and their code.
    for app in ("bob-site", "new"):
        pushed = server.push(ours.repository, app, "main", "--force", key=deploy_key)
        assert pushed.returncode == 128, pushed.stdout
        assert f"is for apps called 'ann-*': '{app}' needs the role admin" in pushed.stdout
    assert not (server.root / "repos" / "new").exists()
    clone = ["git", "clone", server.remote("bob-site"), str(server.client / "stolen")]
    assert run(clone, env=server.git_env(deploy_key)).returncode == 128
    assert theirs.body() == "one"
    # What shows secrets, or runs what it is given.
    for line in ("config ann-site", "run ann-site env"):
        refused(server.ssh(line, key=deploy_key), 1, "needs the role admin", "'ann'")
    said = server.ssh("deploy ann-site --archive /etc/hostname", key=deploy_key)
    refused(said, 1, "a key with a role deploys no file of the server", "--archive - < FILE")


@pytest.mark.parametrize("form", ["scp -O", "scp -s", "sftp"])
def test_files_are_not_for_a_deploy_key(
    server: Sandbox, deploy_key: Path, form: str, tmp_path: Path
) -> None:
    program, *flags = form.split()
    target = [f"{server.address}:.ssh/authorized_keys", str(tmp_path / "got")]
    command = [program, *flags, *server.ssh_options(deploy_key), *target]
    done: Completed = run(command, env=server.client_env())
    assert done.returncode != 0 and not (tmp_path / "got").exists()
    # Clients of SFTP do not show what the server says instead.
    assert "needs the role admin" in done.stderr or form != "scp -O"
    *_, last = server.piku("audit").stdout.splitlines()
    assert last.split()[-2:] == ["scp", "refused"] and " ann " in last


def test_a_read_key(server: Sandbox, new_app: NewApp) -> None:
    app = new_app("seen")
    key = key_of(server, "monitor", "--role", "read")
    assert "web.1" in server.ssh("ps seen", key=key).stdout
    assert server.ssh("logs seen --no-follow", key=key).returncode == 0
    refused(server.ssh("restart seen", key=key), 1, "needs the role deploy: the key 'monitor'")
    pushed = server.push(app.repository, "seen", key=key)
    assert pushed.returncode == 128 and "needs the role deploy" in pushed.stdout


def test_where_from_and_how_long(server: Sandbox) -> None:
    """OpenSSH decides; the lines that we write are as it reads them."""
    near = key_of(server, "near", "--from", "127.0.0.0/8,::1", "--expires", "1h")
    far = key_of(server, "far", "--from", "192.0.2.0/24")
    assert server.ssh("apps", key=near).returncode == 0
    assert server.ssh("apps", key=far).returncode == 255
    listed = server.piku("keys").stdout
    assert "deploy from 127.0.0.0/8,::1/128 until 2" in listed
    file = server.home / ".ssh" / "authorized_keys"
    text = file.read_text()
    start = text.index('expiry-time="') + len('expiry-time="')
    file.write_text(f"{text[:start]}2001{text[start + 4 :]}")
    assert server.ssh("apps", key=near).returncode == 255
    assert server.piku("keys:remove", "near").returncode == 0
    assert "NAME=near" not in file.read_text()
