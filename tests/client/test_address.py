"""The address of a remote, as git itself would use it."""

import subprocess

import pytest

from piku.client import address
from piku.client.address import Address
from piku.errors import PikuError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("me@example.com:shop", Address(user="me", host="example.com", app="shop")),
        ("example:shop", Address(host="example", app="shop")),
        ("example:/shop", Address(host="example", app="shop")),
        ("me@example.com", Address(user="me", host="example.com")),
        ("example", Address(host="example")),
        ("[::1]:shop", Address(host="::1", app="shop")),
        ("me@[fe80::1%eth0]:shop", Address(user="me", host="fe80::1%eth0", app="shop")),
        (
            "ssh://me@example.com:2222/shop",
            Address(user="me", host="example.com", port="2222", app="shop"),
        ),
        ("ssh://example.com/shop", Address(host="example.com", app="shop")),
        ("ssh://example.com", Address(host="example.com")),
        ("ssh://me@[::1]:22/shop", Address(user="me", host="::1", port="22", app="shop")),
        ("git+ssh://example.com/shop", Address(host="example.com", app="shop")),
    ],
)
def test_forms(text: str, expected: Address) -> None:
    assert address.parse(text) == expected
    # Named without the app, it is the same server.
    assert address.parse(expected.server).server == expected.server


@pytest.mark.parametrize(
    "text",
    ["", "/srv/shop", "./shop", "https://example.com/shop", "file:///shop", "git@example.com:me/shop.git", "-x:shop",
     "-x", "me@-x:shop", "-me@x:shop", "ssh://-x/shop", "ssh://-me@x/shop", "ssh://x/%2e%2e", "x:..", "x:a b", "x:a;b",
     "x:-a", "x:a\nb", "ssh://x/a/b", "ssh:///shop", ":shop", "ssh://%2dx/shop"],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(PikuError):
        address.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("me@[::1]:shop", ["me@::1"]), ("ssh://me@[::1]:2222/shop", ["-p", "2222", "me@::1"]), ("x:shop", ["x"])],
)  # fmt: skip
def test_ssh_takes_it(text: str, expected: list[str]) -> None:
    found = address.parse(text)
    assert found.ssh == expected
    said = subprocess.run(["ssh", "-G", *expected], capture_output=True, text=True, check=True)
    assert f"hostname {found.host}\n" in said.stdout
    assert not found.port or f"port {found.port}\n" in said.stdout
