"""What stands between a laptop and its server is told in a line, with what to do."""

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sandbox import HOST, Completed, free_ports, run

from tests.client import laptop as laptops
from tests.client.laptop import ALIAS, Laptop
from tests.e2e.support import App, refused

NAME = "depot"


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that is no sshd; its port."""
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            try:
                while True:
                    client, _ = listener.accept()
                    answer(client)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def told(result: Completed, *words: str) -> str:
    """See that ssh's trouble was told in piku's shape, with ssh's exit code; that text."""
    said = result.stderr
    assert result.returncode == 255, (result.returncode, said)
    assert all(line.startswith(" !     ") for line in said.splitlines()), said
    assert 2 <= len(said.splitlines()) <= 3, said
    assert result.stdout == ""
    for word in words:
        assert word in said, said
    return said


def test_a_server_that_is_not_there(laptop: Laptop, tmp_path: Path) -> None:
    told(
        laptop.piku(tmp_path, "-r", "no-such-host.invalid:depot", "apps"),
        "no-such-host.invalid",
        "git remote -v",
    )
    [port] = free_ports(1)
    told(
        laptop.piku(tmp_path, "-r", f"ssh://{HOST}:{port}/depot", "apps"),
        f"port {port}",
        "takes no SSH connections",
    )


def test_a_server_that_says_nothing_or_goes_away(laptop: Laptop, tmp_path: Path) -> None:
    kept: list[socket.socket] = []
    impatient = {"GIT_SSH_COMMAND": f"ssh -F '{laptop.ssh_config}' -o ConnectTimeout=1"}
    with listening(kept.append) as port:
        told(
            laptop.piku(tmp_path, "-r", f"ssh://{HOST}:{port}/depot", "apps", env=impatient),
            "cannot be reached",
        )
    for client in kept:
        client.close()
    with listening(lambda client: client.close()) as port:
        told(
            laptop.piku(tmp_path, "-r", f"ssh://{HOST}:{port}/depot", "apps"),
            "connection",
            "was lost",
        )


def test_a_key_that_is_not_let_in(laptop: Laptop, tmp_path: Path) -> None:
    key = laptop.server.keygen(tmp_path / "stranger")
    stranger = laptops.make(laptop.server, tmp_path / "home", key)
    folder = stranger.checkout("depot", f"{ALIAS}:depot")
    said = told(stranger.piku(folder, "apps"), "none of your keys", "setup:ssh", f"ssh -v {ALIAS}")
    assert "Permission denied" not in said
    told(stranger.piku(folder, "config:pull"), "none of your keys")
    told(stranger.piku(folder, "run", "cat", input="x" * 100000), "none of your keys")
    copied = stranger.piku(folder, "download", "file")
    assert copied.returncode == 255 and "none of your keys" in copied.stderr


def test_a_key_for_a_login_and_not_for_piku(laptop: Laptop, tmp_path: Path) -> None:
    server = laptop.server
    key = server.keygen(tmp_path / "login")
    with (server.home / ".ssh" / "authorized_keys").open("a") as lines:
        lines.write(Path(f"{key}.pub").read_text())
    person = laptops.make(server, tmp_path / "home", key)
    folder = person.checkout("depot", f"{ALIAS}:depot")
    result = person.piku(folder, "apps")
    assert result.returncode == 1
    assert "lets this key in, but not to piku" in result.stderr and "setup:ssh" in result.stderr


def test_a_connection_that_breaks(laptop: Laptop, checkout: Path) -> None:
    script = """echo begun; p=$$
until grep -q sshd /proc/$p/comm; do p=$(cut -d" " -f4 /proc/$p/stat); done; kill -9 $p"""
    result = laptop.piku(checkout, "run", script)
    assert (result.returncode, result.stdout) == (255, "begun\n")
    assert "closed by remote host" in result.stderr
    # Whoever wants to know all that ssh does is told, and a program's own 255 is still one.
    talkative = {"GIT_SSH_COMMAND": f"ssh -v -F '{laptop.ssh_config}'"}
    result = laptop.piku(checkout, "run", "exit 255", env=talkative)
    assert result.returncode == 255
    assert "debug1: " in result.stderr and " !     " not in result.stderr


def test_a_reader_that_goes_away(laptop: Laptop, checkout: Path, shop: App) -> None:
    laptop.says(checkout, "apps")
    command = '"$0" run "yes | head -100000" | head -1'
    result = run(["sh", "-c", command, *laptop.program], env=laptop.env, cwd=checkout)
    assert (result.stdout, result.stderr) == ("y\n", "")
    result = run(["sh", "-c", '"$0" help | true', *laptop.program], env=laptop.env, cwd=checkout)
    assert (result.stdout, result.stderr) == ("", "")


def test_a_server_with_another_key_than_before(laptop: Laptop, tmp_path: Path) -> None:
    other = laptops.make(laptop.server, tmp_path / "home")
    key = laptop.server.keygen(tmp_path / "hostkey")
    public = Path(f"{key}.pub").read_text()
    known = other.home / "known_hosts"
    known.write_text(f"[{HOST}]:{laptop.server.ssh_port} {public}")
    folder = other.checkout("depot", f"{ALIAS}:depot")
    told(other.piku(folder, "apps"), "another key than before", "ssh-keygen -R")
    # What it says to do helps.
    known.unlink()
    assert other.piku(folder, "apps").returncode == 0


def test_a_server_that_is_not_known_yet(laptop: Laptop, tmp_path: Path) -> None:
    careful = laptops.make(laptop.server, tmp_path / "home", options=["StrictHostKeyChecking yes"])
    folder = careful.checkout("depot", f"{ALIAS}:depot")
    told(careful.piku(folder, "apps"), "not known here yet", f"ssh {ALIAS}")


def test_what_ssh_says_otherwise_is_handed_on(laptop: Laptop, tmp_path: Path) -> None:
    broken = laptops.make(laptop.server, tmp_path / "home", options=["NoSuchOption yes"])
    folder = broken.checkout("depot", f"{ALIAS}:depot")
    told(broken.piku(folder, "apps"), "bad configuration options", "ssh -v")


def test_no_repository_and_no_remote(laptop: Laptop, tmp_path: Path) -> None:
    refused(
        laptop.piku(tmp_path, "apps"),
        2,
        "no git repository",
        "git remote add piku",
        "-r",
        "PIKU_SERVER",
    )
    folder = laptop.checkout(str(tmp_path / "bare"))
    refused(laptop.piku(folder, "logs"), 2, "no remote 'piku'", "git remote add piku")
    refused(laptop.piku(folder, "shell"), 2, "no remote 'piku'")
    assert not (laptop.home / ".piku").exists(), "a command made a server of this laptop"


@pytest.mark.parametrize(
    "address", ["https://example.com/depot", "/srv/git/depot", "-oProxyCommand=touch${IFS}evil:depot",
                "ssh://-oProxyCommand=touch evil/depot", "git@example.com:me/depot.git", "host:a b", "", "a@b@c:d"],
)  # fmt: skip
def test_what_is_no_address(laptop: Laptop, tmp_path: Path, address: str) -> None:
    folder = laptop.checkout(str(tmp_path / "wrong"))
    laptop.git(folder, "config", "remote.piku.url", address)
    refused(laptop.piku(folder, "apps"), 2)
    assert not list(folder.glob("evil*"))
    refused(laptop.piku(tmp_path, "apps", env={"PIKU_SERVER": address or "-x"}), 2, "PIKU_SERVER")


def test_without_ssh_or_git(laptop: Laptop, checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("git", "python3", "env", "sh"):
        (programs / name).symlink_to(shutil.which(name) or name)
    nothing = {"PATH": str(programs), "GIT_CONFIG_GLOBAL": "/dev/null"}
    refused(laptop.piku(checkout, "apps", env=nothing), 1, "'ssh' is not installed")
    (programs / "git").unlink()
    (programs / "ssh").symlink_to("/usr/bin/ssh")
    away = {**nothing, "PIKU_SERVER": ALIAS, "GIT_SSH_COMMAND": f"ssh -F '{laptop.ssh_config}'"}
    assert laptop.piku(tmp_path, "apps", env=away).returncode == 0


def test_usage(laptop: Laptop, checkout: Path) -> None:
    refused(laptop.piku(checkout, "-r"), 2, "needs a value")
    refused(laptop.piku(checkout, "init", "--no-such"), 2)
    refused(laptop.piku(checkout, "completion", "tcsh"), 2)
