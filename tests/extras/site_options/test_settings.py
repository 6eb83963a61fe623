"""Checks of the settings: what is accepted, as what, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from piku.deploy.deployment import Deployment
from piku.errors import PikuError
from piku.extras.site_options import directives
from piku.extras.site_options import settings as checks
from piku.paths import AppPaths
from tests.unit.conftest import commit, deployment

__all__ = ["commit", "deployment"]

Check = Callable[[str], Any]
HASH = "$6$abcdefgh$0123456789012345"


@pytest.mark.parametrize(
    ("check", "text", "value"),
    [
        (checks.passwords, "", ()), (checks.passwords, f"ann:{HASH}", (("ann", HASH),)),
        (checks.passwords, "b.o+b@x:{SSHA}abcdefghijklmnopqrstuv==", (("b.o+b@x", "{SSHA}abcdefghijklmnopqrstuv=="),)),
        (checks.passwords, "a:$apr1$abcdefgh$0123456789012345678901", (("a", "$apr1$abcdefgh$0123456789012345678901"),)),
        (checks.passwords, "a:$2y$10$" + "x" * 53, (("a", "$2y$10$" + "x" * 53),)),
        (checks.passwords, "a:$y$j9T$abc$" + "x" * 43, (("a", "$y$j9T$abc$" + "x" * 43),)),
        (checks.passwords, "a:$6$rounds=5000$abc$xyz", (("a", "$6$rounds=5000$abc$xyz"),)),
        (checks.rate, "", None), (checks.rate, "10/s", ("10r/s", 10)), (checks.rate, "10r/s", ("10r/s", 10)),
        (checks.rate, "300/m", ("300r/m", 30)), (checks.rate, "5/m", ("5r/m", 1)),
        (checks.rate, "10/s burst=0", ("10r/s", 0)), (checks.rate, "10/s, burst=50", ("10r/s", 50)),
        (checks.size, "0", "0"), (checks.size, "64M", "64M"), (checks.size, "999999999g", "999999999g"),
        (checks.hsts, "", ""), (checks.hsts, "false", ""), (checks.hsts, "0", ""), (checks.hsts, "true", "max-age=31536000"),
        (checks.hsts, "60", "max-age=60"),
        (checks.hsts, "on; includesubdomains, PRELOAD", "max-age=31536000; includeSubDomains; preload"),
        (checks.error_pages, "", ()), (checks.error_pages, "404:a/b.html", ((404, "a/b.html"),)),
        (checks.error_pages, "50x:e, 403:f", ((500, "e"), (502, "e"), (503, "e"), (504, "e"), (403, "f"))),
    ],
)  # fmt: skip
def test_accepted(check: Check, text: str, value: object) -> None:
    assert check(text) == value


@pytest.mark.parametrize(
    ("check", "text", "reason"),
    [
        (checks.rate, "10", "not a rate"), (checks.rate, "0/s", "not a rate"), (checks.rate, "1000000/s", "not a rate"),
        (checks.rate, "10/s burst=-1", "not a rate"), (checks.rate, "10/h", "not a rate"),
        (checks.size, "1t", "not a size"), (checks.size, "9999999999", "not a size"),
        (checks.size, "1 m", "not a size"), (checks.size, "-1", "not a size"),
        (checks.hsts, "maybe", "not true"), (checks.hsts, "includeSubDomains", "not true"),
        (checks.hsts, "60; max-age=1", "not true"), (checks.hsts, '60"', "not true"),
        (checks.error_pages, "404", "of the form"), (checks.error_pages, "404:", "of the form"),
        (checks.error_pages, "499:a", "no error"), (checks.error_pages, "600:a", "no error"),
        (checks.error_pages, "200:a", "no error"), (checks.error_pages, "51x:a", "no error"),
        (checks.error_pages, "4xx:a", "no error"), (checks.error_pages, "404:/etc/passwd", "outside"),
        (checks.error_pages, "404:ENV", "never served"), (checks.error_pages, "404:conf/.env", "never served"),
        (checks.error_pages, "50x:a,502:b", "'502' is there twice"),
    ],
)  # fmt: skip
def test_refused(check: Check, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as error:
        check(text)
    assert len(str(error.value)) < 200


@pytest.mark.parametrize(
    "text",
    [
        "correct-horse", "correct-horse:", ":correct-horse", "ann:correct-horse", "ann:correct,horse", "ann correct-horse",
        f"{HASH}:ann", f"ann:{HASH},correct-horse", f"ann:{HASH},ann:{HASH}", f"ann:{HASH},bob:correct-horse",
        f"ann:{HASH}é", "ann:$9$abcdefgh$0123456789012345", f"a b:{HASH}", f"{'x' * 65}:{HASH}",
    ],
)  # fmt: skip
def test_nothing_of_a_wrong_password_is_shown(text: str) -> None:
    with pytest.raises(ValueError, match=r"entry \d") as error:
        checks.passwords(text)
    said = str(error.value)
    assert not any(part in said for part in ("correct", "horse", "abcdefgh", "0123456789", "ann"))


@pytest.mark.parametrize("place", ["pages/404.html", "pages"])
def test_an_error_page_that_is_a_link(
    shop: AppPaths, deployment: Callable[..., Deployment], place: str
) -> None:
    """nginx follows links to error pages, and would show what is there."""
    files = {"Procfile": "web: x\n", "pages/404.html": "x"}
    made = deployment(shop, files, NGINX_ERROR_PAGES="404:pages/404.html")
    assert directives.missing_pages(made) == []
    tree = replace(made.context.tree, modes={**made.context.tree.modes, place: "120000"})
    source = replace(made.revision, context=replace(made.context, tree=tree))
    with pytest.raises(PikuError, match=f"NGINX_ERROR_PAGES: {place} is a link"):
        directives.missing_pages(replace(made, revision=source))
