"""How acme.sh is called, and what is made of its answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from piku.errors import PikuError
from piku.tls import acme
from piku.tls.acme import Order

URL = "https://ca.example/dir"


def order(tmp_path: Path, **changes: object) -> Order:
    plain = Order(
        names=("shop.example", "www.shop.example"),
        webroot=tmp_path / "acme",
        root=tmp_path / ".acme.sh",
        state=tmp_path / "lego",
        authority=URL,
        home=tmp_path,
        settings={},
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_how_it_is_called(tmp_path: Path) -> None:
    names = ["-d", "shop.example", "-d", "www.shop.example"]
    plain = [f"{tmp_path}/.acme.sh/acme.sh", "--issue", *names, "-w", f"{tmp_path}/acme",
             "--server", URL]  # fmt: skip
    assert acme.issue(order(tmp_path)) == plain
    more = order(tmp_path, email="me@shop.example", options=("--days", "9"))
    assert acme.issue(more) == [*plain, "-m", "me@shop.example", "--days", "9"]


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


def script(root: Path, text: str) -> None:
    root.mkdir()
    (root / "acme.sh").write_text(f"#!/bin/sh\n{text}\n")
    (root / "acme.sh").chmod(0o755)


def test_a_failure_has_the_program_s_words_and_no_secret(tmp_path: Path) -> None:
    wanted = order(tmp_path, settings={"CF_TOKEN": "opensesame", "STAGE": "1", "PATH": "/nowhere"})
    script(
        wanted.root,
        'echo "[Sat Nov 21 02:38:05 UTC 2026] no opensesame, stage $STAGE, $LE_WORKING_DIR"; exit 1',
    )
    with pytest.raises(PikuError, match=r"acme\.sh got no certificate") as caught:
        acme.ACME_SH.fetch(wanted)
    assert caught.value.detail == (f"no ********, stage , {wanted.root}",)


def test_what_is_not_due_for_it_is_forced(tmp_path: Path) -> None:
    wanted = order(tmp_path)
    script(wanted.root, 'test "$9" != --force && test "${10}" != --force && exit 2; exit 0')
    with pytest.raises(PikuError, match=r"acme\.sh succeeded, but .* has no certificate"):
        acme.ACME_SH.fetch(wanted)
    folder = wanted.root / "shop.example_ecc"
    folder.mkdir()
    (folder / "fullchain.cer").write_text("chain\n")
    (folder / "shop.example.key").write_text("key\n")
    assert acme.ACME_SH.fetch(wanted) == "chain\nkey\n"


def test_which_client(tmp_path: Path) -> None:
    def name(**settings: str) -> str:
        found = acme.client(tmp_path, settings)
        return found.name if found else ""

    assert name() == "lego"
    (tmp_path / "acme.sh").touch()  # not executable
    assert name() == "lego"
    (tmp_path / "acme.sh").chmod(0o755)
    assert name() == "acme.sh"
    assert name(ACME_DNS="cloudflare") == "lego", "acme.sh is asked for proofs by HTTP alone"
