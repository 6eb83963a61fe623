"""Checks of the settings that nginx follows: what is accepted, as what, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from piku.app import checks
from piku.extras.answer_cache import settings as cache_settings

Check = Callable[[str], Any]


@pytest.mark.parametrize(
    ("check", "text", "value"),
    [
        (checks.url, "", ""), (checks.url, "/", "/"), (checks.url, "/docs/a.b-c_d~e+@f", "/docs/a.b-c_d~e+@f"),
        (checks.url, "/é/", "/é/"), (checks.url, "/@user", "/@user"), (checks.url, "/...", "/..."),
        (checks.url, "/.well-known/acme-challenges", "/.well-known/acme-challenges"),
        (checks.static_paths, "", ()), (checks.static_paths, "/:public", (("/", "public"),)),
        (checks.static_paths, " a/:x/ , /b/:./y.txt,", (("/a", "x"), ("/b", "y.txt"))),
        (checks.static_paths, "/a:.", (("/a", "."),)), (checks.static_paths, "/a:/srv//x/", (("/a", "/srv/x"),)),
        (checks.file_path, "./", "."), (checks.file_path, "/a/b", "/a/b"), (checks.file_path, "a b/c", "a b/c"),
        (cache_settings.prefixes, "", ()), (cache_settings.prefixes, "/", ("/",)),
        (cache_settings.prefixes, "/a|b/,c", ("/a", "/b/", "/c")),
    ],
)  # fmt: skip
def test_accepted(check: Check, text: str, value: object) -> None:
    assert check(text) == value


@pytest.mark.parametrize(
    ("check", "text", "reason"),
    [
        (checks.url, "docs", "not a path of an address"), (checks.url, "//a", "not a path"),
        (checks.url, "/a/../b", "not a path"), (checks.url, "/a/./b", "not a path"), (checks.url, "/a b", "not a path"),
        (checks.url, "/a%20b", "not a path"), (checks.url, "/a?b", "not a path"), (checks.url, "/$uri", "not a path"),
        (checks.url, "/a\n", "not a path"), (checks.url, "/\ud800", "not a path"),
        (checks.url, "/" + "x" * 1000, "not a path of an address"), (checks.url, "/é" * 400, "not a path of an address"),
        (checks.url, "/@piku-x", "used by piku"),
        (checks.url, "/@before-0", "used by piku"), (checks.url, "/.well-known/acme-challenge", "used by piku"),
        (checks.url, "/.well-known/acme-challenge/x", "used by piku"),
        (checks.static_paths, "/a", "of the form /prefix:path"), (checks.static_paths, "/a:", "of the form"),
        (checks.static_paths, ":a", "of the form"), (checks.static_paths, "a b:c", "not a path of an address"),
        (checks.static_paths, "/a:b,/a/:c", "'/a' is there twice"), (checks.static_paths, "/:a,/:b", "'/' is there twice"),
        (checks.static_paths, "/a:../b", "outside"), (checks.static_paths, "/a:/b/../c", "outside"),
        (checks.static_paths, "/a:b;c", "not supported"), (checks.static_paths, "/a:.git", "outside"),
        (checks.static_paths, "/a:" + "x" * 256, "too long"),
        (checks.static_paths, "/a:" + "x/" * 501, "too long"),
        (cache_settings.prefixes, "/a,/a/", "is there twice"),
        (cache_settings.prefixes, "a b", "not a path"),
    ],
)  # fmt: skip
def test_refused(check: Check, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        check(text)
    assert len(str(error.value)) < 200
