"""Listing and removing the keys that may push."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox import Sandbox

from piku.errors import PikuError
from piku.extras.keys import commands
from piku.extras.keys.commands import Key
from piku.paths import Paths
from piku.ssh import keys
from tests.e2e.support import refused
from tests.unit.conftest import paths
from tests.unit.ssh.test_keys import add, fingerprint, pairs, public

__all__ = ["pairs", "paths"]


def listed(paths: Paths) -> list[Key]:
    return commands.listed(keys.authorized_keys(paths).read_text().splitlines())


def test_keys_come_and_go(server: Sandbox) -> None:
    key = server.keygen(server.key.parent / "bob", comment="bob@home")
    added = server.piku("setup:ssh", f"{key}.pub", "--name", "bob")
    fingerprint = added.stdout.partition("SHA256:")[2].split()[0]
    listed = server.ssh("keys").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["laptop", "bob"]
    assert f"SHA256:{fingerprint}" in listed[1]
    refused(server.piku("keys:remove", "nobody"), 1, "no key", "piku keys")
    file = server.home / ".ssh" / "authorized_keys"
    with file.open("a") as lines:
        lines.write("# a line of the administrator's own\n")
    removed = server.ssh("keys:remove", "bob")
    assert (removed.returncode, fingerprint in removed.stdout) == (0, True)
    assert server.ssh("apps", key=key).returncode == 255
    assert server.ssh("apps").returncode == 0
    assert "the administrator's own" in file.read_text()


def test_removing_by_name_and_by_fingerprint(paths: Paths, pairs: list[Path]) -> None:
    add(paths, public(pairs[0]), "ann")
    add(paths, public(pairs[1]), "bob")
    ann, bob = listed(paths)
    assert ann == Key(
        name="ann", fingerprint=fingerprint(pairs[0]), type="ssh-ed25519", comment="ann@laptop"
    )
    with pytest.raises(PikuError, match="no key has the name or fingerprint 'an'"):
        commands.remove(paths, "an")
    assert commands.remove(paths, ann.fingerprint) == ann
    with pytest.raises(PikuError, match="this is the only key of an administrator") as error:
        commands.remove(paths, "bob")
    assert "--force" in error.value.hint
    assert listed(paths) == [bob]
    assert commands.remove(paths, "bob", force=True) == bob
    assert listed(paths) == []


def test_a_name_of_several_keys_removes_none(paths: Paths, pairs: list[Path]) -> None:
    for pair in pairs:
        add(paths, public(pair))
    both = listed(paths)
    with pytest.raises(PikuError, match="2 keys are called 'default'") as error:
        commands.remove(paths, "default")
    assert all(key.fingerprint in " ".join(error.value.detail) for key in both)
    assert listed(paths) == both


def test_other_lines_and_further_options_stay(paths: Paths, pairs: list[Path]) -> None:
    add(paths, public(pairs[0]), "ann")
    [ann] = listed(paths)
    file = keys.authorized_keys(paths)
    theirs = '# mine\ncommand="x" ssh-rsa AAAA caf\udce9\n'
    file.write_text(
        f'{theirs}from="10.0.0.*",restrict,{file.read_text()}', errors="surrogateescape"
    )
    assert commands.remove(paths, "ann", force=True).fingerprint == ann.fingerprint
    assert file.read_text(errors="surrogateescape") == theirs
