"""Checks of single values: what is accepted, as what, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from piku.app import checks

Check = Callable[[str], Any]
count = checks.whole(1, 512)


@pytest.mark.parametrize(
    ("check", "text", "value"),
    [
        (checks.boolean, "true", True), (checks.boolean, "YES", True), (checks.boolean, "1", True),
        (checks.boolean, "On", True), (checks.boolean, "false", False), (checks.boolean, "0", False),
        (checks.boolean, "no", False), (checks.boolean, "OFF", False),
        (count, "1", 1), (count, "512", 512), (count, "007", 7), (checks.whole(-5, 5), "-5", -5),
        (checks.choice("a", "b"), "b", "b"),
        (checks.port, "", None), (checks.port, "1024", 1024), (checks.port, "65535", 65535),
        (checks.host_names, "", ()),
        (checks.host_names, "Example.com", ("example.com",)),
        (checks.host_names, "b.example, a.example.", ("b.example", "a.example")),
        (checks.host_names, "a.example b.example,,a.example", ("a.example", "b.example")),
        (checks.host_names, "*.example.com", ("*.example.com",)),
        (checks.host_names, "localhost", ("localhost",)),
        (checks.host_names, "xn--bcher-kva.example", ("xn--bcher-kva.example",)),
        (checks.ipv4, "", ""), (checks.ipv4, "10.0.0.1", "10.0.0.1"),
        (checks.ipv6, "", ""), (checks.ipv6, "2001:DB8::1", "2001:db8::1"), (checks.ipv6, "[::1]", "::1"),
        (checks.inner_path, "", ""), (checks.inner_path, "a/b.conf", "a/b.conf"),
        (checks.inner_path, "./a//b/.", "a/b"), (checks.inner_path, "a b/é", "a b/é"),
        (checks.url_path, "", ""), (checks.url_path, "/", "/"), (checks.url_path, "/up?x=1", "/up?x=1"),
        (checks.python_version, "3", "3"), (checks.python_version, "3.11", "3.11"),
        (checks.branch, "", ""), (checks.branch, "main", "main"), (checks.branch, "a/b-c.d", "a/b-c.d"),
        (checks.http_url, "", ""), (checks.http_url, "https://a.example/ips?a=b", "https://a.example/ips?a=b"),
        (checks.absolute_path, "/a/..b/c", "/a/..b/c"), (checks.email, "a.b+c@d.example", "a.b+c@d.example"),
    ],
)  # fmt: skip
def test_accepted(check: Check, text: str, value: object) -> None:
    assert check(text) == value


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (checks.boolean, ""), (checks.boolean, "maybe"), (checks.boolean, "tru"),
        (count, ""), (count, "0"), (count, "513"), (count, "1.5"), (count, "one"), (count, "-1"), (count,
        "+1"),
        (count, "1_0"), (count, "²"), (count, "٣"), (count, "1" * 5000), (count, " 1"),
        (checks.choice("a", "b"), "c"), (checks.choice("a", "b"), "A"),
        (checks.port, "80"), (checks.port, "0"), (checks.port, "65536"), (checks.port, "http"),
        (checks.host_names, "a;b"), (checks.host_names, "a}b"), (checks.host_names, "$host"),
        (checks.host_names, "a..b"), (checks.host_names, ".a"), (checks.host_names, "-a.b"),
        (checks.host_names, "a-.b"), (checks.host_names, "*"), (checks.host_names, "*."),
        (checks.host_names, "a.*.b"), (checks.host_names, "~^a"), (checks.host_names, "."),
        (checks.host_names, "http://a.b"), (checks.host_names, "a.b:80"), (checks.host_names, "a/b"),
        (checks.host_names, "x" * 64), (checks.host_names, ".".join(["x" * 60] * 5)),
        (checks.host_names, "good.example,b\"ad"), (checks.host_names, "bücher.example"),
        (checks.host_names, "a\tb"), (checks.host_names, "a\nb"),
        (checks.ipv4, "10.0.0"), (checks.ipv4, "10.0.0.256"), (checks.ipv4, "::1"), (checks.ipv4, "host"),
        (checks.ipv6, "10.0.0.1"), (checks.ipv6, ":::"), (checks.ipv6, "g::1"),
        (checks.ipv6, "fe80::1%eth0"), (checks.ipv6, "fe80::1%;}"),
        (checks.inner_path, "/etc/passwd"), (checks.inner_path, "../x"), (checks.inner_path, "a/.."),
        (checks.inner_path, ".git/config"), (checks.inner_path, "a;b"), (checks.inner_path, "a$b"),
        (checks.inner_path, "a\nb"), (checks.inner_path, "."), (checks.inner_path, "./"),
        (checks.inner_path, "a*"),
        (checks.inner_path, "./.git/config"),
        (checks.url_path, "up"), (checks.url_path, "/a b"), (checks.url_path, "/a\r\nX: y"),
        (checks.url_path, "/é"),
        (checks.python_version, "3.x"), (checks.python_version, "4"),
        (checks.python_version, "3.11.2"), (checks.python_version, "3;x"),
        (checks.branch, "-x"), (checks.branch, "a..b"), (checks.branch, "a b"), (checks.branch, "a.lock"),
        (checks.branch, "a/"), (checks.branch, "a~1"), (checks.branch, "a:b"),
        (checks.http_url, "ftp://x/"), (checks.http_url, "https://x"), (checks.http_url, "https://user:pw@x/"),
        (checks.http_url, "-o/etc/passwd"), (checks.absolute_path, "a"), (checks.absolute_path, "/a/../b"),
        (checks.absolute_path, "/.."), (checks.email, "a"),
    ],
)  # fmt: skip
def test_refused(check: Check, text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check(text)
