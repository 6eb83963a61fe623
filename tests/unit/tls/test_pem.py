"""Certificates as openssl makes them: read, checked against their key, and put in order."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from piku.errors import PikuError
from piku.tls import pem

NEW = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
Make = Callable[..., tuple[str, str]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A function that makes a certificate and its key, signed by the one called `by` or by itself."""

    def made(
        name: str, *names: str, by: str = "", options: tuple[str, ...] = ("-nodes",)
    ) -> tuple[str, str]:
        key, crt = tmp_path / f"{name}.key", tmp_path / f"{name}.crt"
        command = [*NEW, *options, "-days", "30", "-subj", f"/O=Acme\\, Inc./CN={name}"]
        command += ["-keyout", str(key), "-out", str(crt)]
        if names:
            kinds = ",".join(
                f"{'IP' if one[0].isdigit() or ':' in one else 'DNS'}:{one}" for one in names
            )
            command += ["-addext", f"subjectAltName={kinds}"]
        if by:
            command += ["-CA", str(tmp_path / f"{by}.crt"), "-CAkey", str(tmp_path / f"{by}.key")]
        subprocess.run(command, check=True, capture_output=True)
        return crt.read_text(), key.read_text()

    return made


def expired(certificate: str, key: str) -> str:
    """The same one, for the same key, which ended yesterday."""
    with tempfile.TemporaryDirectory() as folder:
        old, secret = Path(folder, "old"), Path(folder, "key")
        old.write_text(certificate)
        secret.write_text(key)
        again = ["openssl", "x509", "-in", str(old), "-signkey", str(secret), "-days", "-1"]
        return subprocess.run(again, check=True, capture_output=True, text=True).stdout


def test_facts(make: Make) -> None:
    make("root")
    crt, _ = make("leaf", "Shop.example", "*.shop.example", "192.0.2.1", "2001:db8::1", by="root")
    found = pem.facts(crt)
    assert found.names == ("shop.example", "*.shop.example", "192.0.2.1", "2001:db8::1")
    assert found.issued_by == "root, Acme, Inc."
    assert not found.self_signed
    assert abs(found.not_before - time.time()) < 60
    assert found.not_after - found.not_before == 30 * 86400


def test_no_names_and_names_in_the_subject_are_none(make: Make) -> None:
    crt, _ = make("DNS:evil.example")
    assert pem.facts(crt).names == ()
    assert pem.facts(crt).self_signed


def test_a_bundle_is_put_in_order(make: Make) -> None:
    root, _ = make("root")
    middle, _ = make("middle", by="root")
    leaf, key = make("leaf", "shop.example", by="middle")
    for certificates, keys in (
        (root + leaf + middle, key),
        (key + middle + leaf + root, ""),
        (middle + leaf + leaf + root, key + key),
    ):
        found = pem.bundle(certificates.replace("\n", "\r\n"), keys)
        assert found.text == leaf + middle + root + key
        assert found.facts.names == ("shop.example",)
        assert found.complete
    assert not pem.bundle(leaf, key).complete
    assert pem.bundle(leaf + middle, key).complete


def test_what_does_not_fit_is_refused(make: Make) -> None:
    _, root_key = make("root")
    leaf, key = make("leaf", "shop.example", by="root")
    other, _ = make("other", "other.example")
    _, locked = make("locked", options=("-passout", "pass:secret"))
    past = expired(leaf, key)
    for certificates, keys, words in (
        ("", key, "certificate has none"),
        (leaf, "", "key has none"),
        (leaf, key + root_key, "2 of them"),
        (other, key, "does not belong to the certificate"),
        (leaf + other, key, "does not belong to the chain"),
        (leaf, locked, "the key cannot be read"),
        (leaf.replace("MII", "NII"), key, "the certificate cannot be read"),
        (past, key, "expired on"),
        ("hello", "world", "key has none"),
    ):
        with pytest.raises(PikuError, match=words):
            pem.bundle(certificates, keys)
