"""Names that a public authority certifies."""

from __future__ import annotations

import pytest

from piku.tls import acme


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("shop.de", True), ("*.shop.de", True), ("a.b.shop.co.uk", True), ("testing.de", True),
        ("shop", False), ("shop.localhost", False), ("shop.test", False), ("www.example.com", False),
        ("printer.lan", False), ("nas.home.arpa", False), ("192.0.2.1", False), ("a.internal", False),
    ],
)  # fmt: skip
def test_public_names(name: str, public: bool) -> None:
    assert acme.is_public(name) == public
