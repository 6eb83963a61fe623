"""Which certificate an app is served with."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from piku.errors import PikuError
from piku.paths import AppPaths
from piku.tls import certificate
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


@pytest.mark.parametrize(
    ("life", "left", "soon"),
    [(90, 15, False), (90, 13.9, True), (365, 15, False), (45, 10, False), (45, 8, True),
     (6, 2, False), (6, 1, True), (90, -1, True)],
)  # fmt: skip
def test_it_ends_soon_when_what_renews_it_is_late(life: int, left: float, soon: bool) -> None:
    found = replace(one("x"), not_before=NOW - life * DAY, not_after=NOW)
    assert found.ends_soon(NOW - left * DAY) is soon


def test_self_signed_at_once_and_kept(shop: AppPaths) -> None:
    names = ("a.example", "*.a.example", "192.0.2.7", "1")
    found = certificate.certificate(shop, names)
    assert not found.trusted
    assert found.source == certificate.SELF_SIGNED
    path = Path(found.path)
    assert path.stat().st_mode & 0o777 == 0o600
    facts = certificate.inspect(path.read_text(), "x")
    assert facts.names == names
    assert not facts.trusted
    assert certificate.certificate(shop, names) == found
    assert certificate.certificate(shop, names[:1]).names == names[:1]


def test_what_is_stored_is_chosen_and_damage_is_passed_over(shop: AppPaths) -> None:
    names = ("a.example",)
    mine = certificate.certificate(shop, names)
    text = Path(mine.path).read_text().partition("\n")[2]
    found = certificate.inspect(text, certificate.OWN)
    own = certificate.write(shop, certificate.OWN, found, text)
    assert certificate.certificate(shop, names) == own
    # One file is what nginx reads: chain and key, and the line before is nobody's concern.
    for option in ("x509", "pkey"):
        subprocess.run(["openssl", option, "-noout", "-in", own.path], check=True)

    for damage in (
        "",
        "# piku: {}\n" + text,
        text,
        "# piku: []\n" + text,
    ):
        certificate.place(shop, certificate.OWN).write_text(damage)
        assert certificate.certificate(shop, names) == mine


def test_an_expired_self_signed_one_is_made_anew(shop: AppPaths) -> None:
    mine = certificate.certificate(shop, ("a.example",))
    path = Path(mine.path)
    path.write_text(path.read_text().replace(str(mine.not_after), str(int(time.time()) - 1)))
    assert certificate.certificate(shop, ("a.example",)).not_after > time.time()


# --- what openssl says ---------------------------------------------------------------------------

NEW = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
Make = Callable[..., tuple[str, str]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A function that makes a certificate and its key, signed by the one called `by` or by itself."""

    def made(
        name: str, *names: str, by: str = "", options: tuple[str, ...] = ("-nodes",), days: int = 30
    ) -> tuple[str, str]:
        key, crt = tmp_path / f"{name}.key", tmp_path / f"{name}.crt"
        command = [*NEW, *options, "-days", str(days), "-subj", f"/O=Acme\\, Inc./CN={name}"]
        command += ["-keyout", str(key), "-out", str(crt)]
        if names:
            kinds = (f"{'IP' if one[0].isdigit() else 'DNS'}:{one}" for one in names)
            command += ["-addext", f"subjectAltName={','.join(kinds)}"]
        if by:
            command += ["-CA", str(tmp_path / f"{by}.crt"), "-CAkey", str(tmp_path / f"{by}.key")]
        subprocess.run(command, check=True, capture_output=True)
        return crt.read_text(), key.read_text()

    return made


def test_what_a_certificate_says(make: Make) -> None:
    root, _ = make("root")
    names = ("Shop.example", "*.shop.example", "192.0.2.1")
    leaf, key = make("leaf", *names, by="root")
    for text in (leaf + root + key, key + leaf + root, leaf + key):
        found = certificate.inspect(text.replace("\n", "\r\n"), "x")
        assert found.names == ("shop.example", "*.shop.example", "192.0.2.1")
        assert found.issuer == "root, Acme, Inc."
        assert found.trusted
        assert abs(found.not_before - time.time()) < 60
        assert found.not_after - found.not_before == 30 * 86400
    evil, key = make("DNS:evil.example")
    found = certificate.inspect(evil + key, "x")
    assert (found.names, found.trusted) == ((), False)


def test_what_is_refused(make: Make) -> None:
    make("root")
    leaf, key = make("leaf", "shop.example", by="root")
    other, _ = make("other", "other.example")
    _, locked = make("locked", options=("-passout", "pass:secret"))
    for text, words in (
        (key, "the certificate cannot be read"),
        (leaf, "the key cannot be read"),
        (leaf + locked, "the key cannot be read"),
        (other + leaf + key, "does not belong to the certificate"),
        (leaf.replace("MII", "NII") + key, "the certificate cannot be read"),
        ("hello", "the certificate cannot be read"),
    ):
        with pytest.raises(PikuError, match=words):
            certificate.inspect(text, "x")


def test_an_expired_one_is_refused(make: Make, tmp_path: Path) -> None:
    make("old", "shop.example")
    places = [str(tmp_path / name) for name in ("old.crt", "old.key")]
    again = ["openssl", "x509", "-in", places[0], "-signkey", places[1], "-days", "-1"]
    past = subprocess.run(again, check=True, capture_output=True, text=True).stdout
    with pytest.raises(PikuError, match="the certificate expired on 20"):
        certificate.inspect(past + Path(places[1]).read_text(), "x")


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("shop.de", True), ("*.shop.de", True), ("a.b.shop.co.uk", True), ("testing.de", True),
        ("shop", False), ("shop.localhost", False), ("shop.test", False), ("www.example.com", False),
        ("printer.lan", False), ("nas.home.arpa", False), ("192.0.2.1", False), ("a.internal", False),
    ],
)  # fmt: skip
def test_names_that_a_public_authority_certifies(name: str, public: bool) -> None:
    assert certificate.is_public(name) == public
