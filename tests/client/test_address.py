"""The address of a remote, as git itself would use it."""

import subprocess
from pathlib import Path

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
            "[me@example.com:2222]:shop",
            Address(user="me", host="example.com", port="2222", app="shop"),
        ),
        (
            "ssh://me@example.com:2222/shop",
            Address(user="me", host="example.com", port="2222", app="shop"),
        ),
        ("ssh://example.com/shop", Address(host="example.com", app="shop")),
        ("ssh://example.com", Address(host="example.com")),
        ("ssh://me@[::1]:22/shop", Address(user="me", host="::1", port="22", app="shop")),
        ("git+ssh://example.com/shop", Address(host="example.com", app="shop")),
        ("ssh://m%65@example.com/shop", Address(user="me", host="example.com", app="shop")),
    ],
)
def test_forms(text: str, expected: Address) -> None:
    assert address.parse(text) == expected
    # Said again without the app, it is the same server.
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
    "lines",
    [
        ["remote.piku.url box:shop"],
        ["remote.piku.url box:shop", "url.me@example.com:.insteadOf box:"],
        ["remote.piku.url box:shop", "url.me@example.com:.pushInsteadOf box:"],
        ["remote.piku.url box:shop", "url.a@x:.insteadOf box:", "url.b@y:.pushInsteadOf box:"],
        [
            "remote.piku.url box:shop",
            "url.a@x:.insteadOf b",
            "url.b@y:.insteadOf box:",
            "url.c@z:.insteadOf other",
        ],
        ["remote.piku.url box:shop", "remote.piku.pushurl there:shop"],
        [
            "remote.piku.url box:shop",
            "remote.piku.pushurl there:shop",
            "url.a@x:.pushInsteadOf there:",
        ],
        ["remote.piku.url box:shop", "remote.piku.pushurl there:shop", "url.a@x:.insteadOf there:"],
        ["remote.other.url box:shop", "remote.piku.url x:y"],
        ["remote.a.b.url box:shop", "remote.piku.url ssh://me@[::1]:22/y"],
    ],
)
def test_what_git_would_push_to(tmp_path: Path, lines: list[str]) -> None:
    def git(*words: str) -> str:
        env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", *words], cwd=tmp_path, env=env, check=True, capture_output=True, text=True
        )
        return done.stdout

    git("init", "--quiet")
    for line in lines:
        git("config", "--add", *line.split(" "))
    said = git("config", "-z", "--list")
    config = [
        (key, value)
        for key, _, value in (entry.partition("\n") for entry in said.split("\0") if entry)
    ]
    assert (
        address.push_address(config, "piku") == git("remote", "get-url", "--push", "piku").strip()
    )
