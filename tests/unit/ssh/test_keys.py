"""Keys that are let in, and taken away again, in a real authorized_keys file."""

from __future__ import annotations

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from piku.errors import PikuError
from piku.paths import Paths
from piku.ssh import keys

COMMAND = ["/opt/piku/bin/piku"]
OPTIONS = "no-agent-forwarding,no-user-rc,no-X11-forwarding,no-port-forwarding"


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two private keys; the public ones stand beside them."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ann", "bob"):
        comment = ["-C", f"{name}@laptop", "-f", str(folder / name)]
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", *comment]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return [folder / "ann", folder / "bob"]


def public(pair: Path) -> str:
    return pair.with_suffix(".pub").read_text()


def fingerprint(pair: Path) -> str:
    command = ["ssh-keygen", "-l", "-E", "sha256", "-f", str(pair)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[1]


def add(paths: Paths, text: str, name: str = "default") -> str:
    return keys.add(paths, text, name, COMMAND, {})


def names(paths: Paths) -> list[str]:
    return re.findall(r"NAME=(\S+) ", keys.authorized_keys(paths).read_text(errors="replace"))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_the_entry_is_the_specifications(paths: Paths, pairs: list[Path]) -> None:
    added = add(paths, public(pairs[0]), "ann")
    assert added == fingerprint(pairs[0])
    file = keys.authorized_keys(paths)
    assert file == paths.home / ".ssh" / "authorized_keys"
    assert file.read_text() == (
        f'command="FINGERPRINT={added} NAME=ann /opt/piku/bin/piku \\"$SSH_ORIGINAL_COMMAND\\"",'
        f"{OPTIONS} {public(pairs[0])}"
    )
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    assert names(paths) == ["ann"]


def test_loose_modes_are_tightened(paths: Paths, pairs: list[Path]) -> None:
    file = keys.authorized_keys(paths)
    file.parent.mkdir(parents=True, mode=0o777)
    file.parent.chmod(0o777)
    file.write_text("")
    file.chmod(0o666)
    add(paths, public(pairs[0]))
    assert (mode(file), mode(file.parent)) == (0o600, 0o700)


@pytest.mark.parametrize("ending", ["\n", "", "\n\n"])
def test_other_peoples_lines_are_not_touched(paths: Paths, pairs: list[Path], ending: str) -> None:
    file = keys.authorized_keys(paths)
    file.parent.mkdir(parents=True)
    theirs = f'# mine\n{public(pairs[1]).strip()}\ncommand="x" ssh-rsa AAAA caf\udce9{ending}'
    file.write_text(theirs, errors="surrogateescape")
    add(paths, public(pairs[0]), "ann")
    text = file.read_text(errors="surrogateescape")
    assert text.startswith(theirs)
    assert text.splitlines()[-1].startswith('command="FINGERPRINT=')
    assert names(paths) == ["ann"]
    assert mode(file) == 0o600


def test_a_key_that_may_log_in_here_is_refused(paths: Paths, pairs: list[Path]) -> None:
    # sshd takes the first entry that has the key: piku would never be asked.
    file = keys.authorized_keys(paths)
    file.parent.mkdir(parents=True)
    file.write_text(f"# mine\n{public(pairs[0])}")
    with pytest.raises(PikuError, match="can already log in here") as error:
        add(paths, public(pairs[0]), "again")
    assert "another key" in error.value.hint
    add(paths, public(pairs[1]), "bob")
    assert names(paths) == ["bob"]


def test_a_key_has_one_entry(paths: Paths, pairs: list[Path]) -> None:
    add(paths, public(pairs[0]), "ann")
    before = keys.authorized_keys(paths).read_text()
    with pytest.raises(PikuError, match="can already log in here"):
        add(paths, public(pairs[0]).replace("ann@laptop", "other comment"), "again")
    assert keys.authorized_keys(paths).read_text() == before
    add(paths, public(pairs[1]), "bob")
    assert names(paths) == ["ann", "bob"]


def test_comments_and_blank_lines_around_a_key_are_fine(paths: Paths, pairs: list[Path]) -> None:
    add(paths, f"# from Ann\n\n  {public(pairs[0]).strip()}  \r\n\n")
    assert len(keys.authorized_keys(paths).read_text().splitlines()) == 1


def test_tabs_and_several_blanks(paths: Paths, pairs: list[Path]) -> None:
    kind, blob, comment = public(pairs[0]).split()
    add(paths, f"{kind}\t{blob}   {comment}\n")
    assert keys.authorized_keys(paths).read_text().endswith(f" {kind} {blob} {comment}\n")


def test_a_certificate_is_refused(paths: Paths, pairs: list[Path]) -> None:
    _, blob, comment = public(pairs[0]).split()
    text = f"ssh-ed25519-cert-v01@openssh.com {blob} {comment}\n"
    assert "this is a certificate" in refused(paths, text)


def refused(paths: Paths, text: str, name: str = "x") -> str:
    with pytest.raises(PikuError) as error:
        add(paths, text, name)
    assert not keys.authorized_keys(paths).exists()
    assert error.value.hint
    return error.value.message


def test_what_is_no_key(paths: Paths, pairs: list[Path]) -> None:
    good = public(pairs[0]).strip()
    kind, blob, _ = good.split(" ")
    for text in (
        "", "\n", "garbage", "ssh-ed25519", f"{kind} !!!! x", f"{good}\n{public(pairs[1])}", blob,
        pairs[0].read_text(), f'command="sh" {good}', f"no-pty {good}", f"root {good}", "AAAA\0", f'ssh-ed25519" {blob}',
    ):  # fmt: skip
        assert refused(paths, text) == "this is not one SSH public key", text
    for text in (f"{kind} {blob[:-8]}", f"{kind} AAAA", f"{kind} {blob[:20]}"):
        assert refused(paths, text) == "ssh-keygen does not accept this key", text


@pytest.mark.parametrize(
    "name", ["", "a b", 'a"b', "a;b", "$x", "-a", "a\nb", "é", "x" * 65, "a'b", "a\\b"]
)
def test_names_that_could_break_out_are_refused(paths: Paths, pairs: list[Path], name: str) -> None:
    assert "is not a name for a key" in refused(paths, public(pairs[0]), name)


@pytest.mark.parametrize("root", ["/srv/a b", "/srv/it's", '/srv/"x"', "/srv/a\\b", "/srv/$HOME;x"])
def test_the_forced_command_is_what_sshd_and_the_shell_read(
    paths: Paths, pairs: list[Path], root: str
) -> None:
    keys.add(paths, public(pairs[0]), "ann", ["printf", "%s|", root], {"PIKU_ROOT": root})
    [entry] = keys.authorized_keys(paths).read_text().splitlines()
    # As sshd does (opt_dequote in its auth-options): only \" stands for something else, a quote.
    text = entry.removeprefix('command="')
    command, position = "", 0
    while text[position] != '"':
        position += text[position : position + 2] == '\\"'
        command += text[position]
        position += 1
    assert text[position + 1 :].startswith(f",{OPTIONS} ssh-ed25519 ")
    shell = ["sh", "-c", f"{command.replace('printf', 'env; printf', 1)}"]
    asked = "git-receive-pack 'x'; $(id) \"quoted\""
    done = subprocess.run(
        shell, check=True, capture_output=True, text=True, env={"SSH_ORIGINAL_COMMAND": asked}
    )
    assert done.stdout.endswith(f"{root}|{asked}|")


def test_keys_added_at_once_are_all_kept(paths: Paths, tmp_path: Path) -> None:
    texts = []
    for number in range(8):
        place = tmp_path / str(number)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        texts.append(public(place))
    with ThreadPoolExecutor() as pool:
        added = list(pool.map(lambda text: add(paths, text), texts))
    assert sorted(
        re.findall(r"FINGERPRINT=(\S+) ", keys.authorized_keys(paths).read_text())
    ) == sorted(added)
