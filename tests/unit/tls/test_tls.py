"""Which certificate an app is served with."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from piku.paths import AppPaths, Paths
from piku.tls import certificate, pem
from piku.tls.certificate import Certificate

NOW = 1_800_000_000
DAY = 86400


def one(
    name: str, *names: str, days: int = 60, source: str = "lego", trusted: bool = True
) -> Certificate:
    return Certificate(
        path=name, names=names, issuer="CA", not_before=NOW - 30 * DAY, not_after=NOW + days * DAY,
        trusted=trusted, source=source,
    )  # fmt: skip


def test_a_wildcard_covers_one_label() -> None:
    found = one("x", "*.shop.example", "shop.example")
    assert found.missing(["shop.example", "a.shop.example", "*.shop.example"]) == []
    assert found.missing(["a.b.shop.example", "*.a.shop.example", "hop.example"]) == [
        "a.b.shop.example", "*.a.shop.example", "hop.example",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("known", "best"),
    [
        ([], None),
        ([one("other", "b.example")], None),
        ([one("old", "a.example", days=0)], None),
        ([one("self", "a.example", trusted=False, source=certificate.SELF_SIGNED)], None),
        ([one("one", "a.example"), one("longer", "a.example", days=90)], "longer"),
        ([one("long", "a.example", days=90), one("own", "a.example", source=certificate.OWN)], "own"),
        ([one("own", "a.example", source=certificate.OWN, days=0), one("got", "a.example")], "got"),
        ([one("own", "a.example", source=certificate.OWN), one("all", "a.example", "www.a.example")], "all"),
        ([one("some", "a.example")], "some"),
        ([one("private", "a.example", source=certificate.OWN, trusted=False)], "private"),
    ],
)  # fmt: skip
def test_choice(known: list[Certificate], best: str | None) -> None:
    found = certificate.choose(known, ["a.example", "www.a.example"], NOW)
    assert (found.path if found else None) == best


def test_due_with_less_than_a_third_left() -> None:
    assert not one("x", days=16).due(NOW)
    assert one("x", days=14).due(NOW)


def test_self_signed_at_once_and_kept(shop: AppPaths) -> None:
    names = ("a.example", "*.a.example", "192.0.2.7")
    found = certificate.certificate(shop, names)
    assert not found.trusted
    assert found.source == certificate.SELF_SIGNED
    path = Path(found.path)
    assert path.stat().st_mode & 0o777 == 0o600
    facts = pem.facts(path.read_text())
    assert facts.names == names
    assert facts.self_signed
    assert certificate.certificate(shop, names) == found
    assert certificate.certificate(shop, names[:1]).path != found.path


def test_what_is_stored_is_chosen_and_damage_is_passed_over(paths: Paths, shop: AppPaths) -> None:
    names = ("a.example",)
    mine = certificate.certificate(shop, names)
    text = Path(mine.path).read_text().partition("\n")[2]
    bundle = pem.bundle(text, "")
    own = certificate.store(certificate.own_path(shop), bundle, certificate.OWN)
    assert certificate.certificate(shop, names) == own
    # One file is what nginx reads: chain and key, and the line before is nobody's concern.
    for option in ("x509", "pkey"):
        subprocess.run(["openssl", option, "-noout", "-in", own.path], check=True)

    for damage in (
        "",
        "# piku: {}\n" + text,
        "# piku: not json\n" + text,
        text,
        "# piku: []\n" + text,
    ):
        certificate.own_path(shop).write_text(damage)
        assert certificate.certificate(shop, names) == mine
    # Of another app whose name begins alike.
    (paths.nginx / "shop2@own.pem").write_text(Path(mine.path).read_text())
    assert [found.path for found in certificate.stored(shop)] == [mine.path]


def test_an_expired_self_signed_one_is_made_anew(shop: AppPaths) -> None:
    mine = certificate.certificate(shop, ("a.example",))
    path = Path(mine.path)
    path.write_text(path.read_text().replace(str(mine.not_after), str(int(time.time()) - 1)))
    assert certificate.certificate(shop, ("a.example",)).not_after > time.time()
