"""Keys, and what a client may have the server do."""

import shlex
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox import Sandbox, run

from tests.e2e.support import App, refused


def test_a_key_is_added(server: Sandbox) -> None:
    key = server.keygen(server.key.parent / "bob", comment="bob@home")
    public = Path(f"{key}.pub").read_text()
    assert server.ssh("apps", key=key).returncode == 255
    added = server.piku("setup:ssh", "-", "--name", "bob", input=public)
    assert added.returncode == 0, added.stderr
    assert "SHA256:" in added.stdout
    assert server.ssh("apps", key=key).returncode == 0

    file = server.home / ".ssh" / "authorized_keys"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    entry = next(line for line in file.read_text().splitlines() if "NAME=bob" in line)
    fingerprint = added.stdout.partition("SHA256:")[2].split()[0]
    assert entry.startswith(f'command="FINGERPRINT=SHA256:{fingerprint} NAME=bob ')
    assert '"$SSH_ORIGINAL_COMMAND' in entry.replace("\\", "")
    assert (
        '",no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding ssh-ed25519 '
        in entry
    )

    # Once is enough, under whichever name.
    before = file.read_text()
    again = server.piku("setup:ssh", "-", "--name", "bobby", input=public)
    refused(again, 1, "can already log in")
    assert file.read_text() == before


def test_what_is_no_key_is_refused(server: Sandbox, tmp_path: Path) -> None:
    file = server.home / ".ssh" / "authorized_keys"
    before = file.read_bytes()
    key = server.keygen(server.key.parent / "third")
    public = Path(f"{key}.pub").read_text().strip()
    cases = [
        ("", "not one SSH public key"),
        ("hello", "not one SSH public key"),
        ("ssh-ed25519 AAAA", "does not accept"),
        (public[:-20].replace("AAAAI", "AAAAX"), ""),
        (f"{public}\n{public}", "not one SSH public key"),
        (f'command="sh" {public}', "not one SSH public key"),
        (f"{public}\nssh-ed25519 AAAA evil\n", "not one SSH public key"),
        (key.read_text(), "not one SSH public key"),
        ("\x00\xff" * 5000, "not one SSH public key"),
    ]
    for text, words in cases:
        refused(server.piku("setup:ssh", "-", input=text), 1, words)
    refused(server.piku("setup:ssh", "/no/such/file"), 2, "No such file")
    refused(server.piku("setup:ssh", str(tmp_path)), 2, "Is a directory")
    refused(server.piku("setup:ssh"), 2)
    for name in ("", 'a"b', "a b", "$(id)", "x" * 65):
        refused(
            server.piku("setup:ssh", "-", "--name", name, input=public), 1, "not a name for a key"
        )
    assert file.read_bytes() == before


def test_no_command_shows_help(server: Sandbox) -> None:
    result = server.ssh()
    assert result.returncode == 0
    for command in ("apps", "config:set", "git-receive-pack"):
        assert (command in result.stdout) == (command != "git-receive-pack")
    assert server.ssh("help").stdout == result.stdout
    assert "KEY=VALUE" in server.ssh("help config:set").stdout


@pytest.mark.parametrize(
    "command",
    [
        "apps; touch {0}",
        "apps && touch {0}",
        "apps | tee {0}",
        "apps > {0}",
        "apps $(touch {0})",
        "apps `touch {0}`",
        "apps\ntouch {0}",
        "config:get parsed $(touch {0})",
        "$(touch {0})",
        "touch {0}",
        "sh -c 'touch {0}'",
        "git-receive-pack 'parsed; touch {0}'",
        'git-upload-pack "$(touch {0})"',
        "scp -f '$(touch {0})'",
    ],
)
def test_a_command_is_parsed_and_not_executed(
    server: Sandbox, tmp_path: Path, command: str
) -> None:
    place = tmp_path / "executed"
    result = server.ssh(command.format(place), input="")
    assert result.returncode in (1, 2), (result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    assert not place.exists()


def test_words_of_a_command_stay_as_they_are(new_app: Callable[..., App], server: Sandbox) -> None:
    app = new_app("parsed")
    # Neither globs, nor variables, nor a name that the shell of the server would expand.
    for word in ("*", "$HOME", "~", "a  b", "{a,b}", "\\"):
        refused(server.ssh(f"config:get parsed {shlex.quote(word)}"), 1, repr(word))
    refused(server.ssh("config:get parsed *"), 1, "'*'")
    refused(server.ssh("config:get parsed 'unclosed"), 2, "No closing quotation")
    # `run` is what executes, and only in the app.
    assert app.asked("run", "echo $APP; pwd").stdout.split()[0] == "parsed"


def test_no_ports_are_forwarded(server: Sandbox) -> None:
    target = f"127.0.0.1:{server.http_port}"
    result = run(
        ["ssh", *server.ssh_options(), "-W", target, server.address],
        env=server.client_env(),
        cwd=server.client,
        text="GET / HTTP/1.0\r\n\r\n",
    )
    assert result.returncode != 0
    assert result.stderr == "stdio forwarding failed\n"
