"""How the programs are called that get certificates, and what is made of their answers."""

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
        key=tmp_path / "shop.key",
        chain=tmp_path / "shop.crt",
        reload=["env", "PIKU_ROOT=/a b", "piku", "certs:renew", "--installed", "shop"],
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_acme_sh(tmp_path: Path) -> None:
    wanted = order(tmp_path)
    script = f"{tmp_path}/.acme.sh/acme.sh"
    names = ["-d", "shop.example", "-d", "www.shop.example"]
    assert acme.acme_sh_issue(wanted) == [
        script, "--issue", *names, "-w", f"{tmp_path}/acme", "--server", URL,
    ]  # fmt: skip
    more = order(tmp_path, email="me@shop.example", dns="dns_cf", options=("--dnssleep", "9"))
    assert acme.acme_sh_issue(more, force=True) == [
        script, "--issue", *names, "--dns", "dns_cf", "--server", URL, "-m", "me@shop.example", "--force",
        "--dnssleep", "9",
    ]  # fmt: skip
    install = [
        script, "--install-cert", "-d", "shop.example", "--key-file", f"{tmp_path}/shop.key",
        "--fullchain-file", f"{tmp_path}/shop.crt", "--reloadcmd",
        "env 'PIKU_ROOT=/a b' piku certs:renew --installed shop",
    ]  # fmt: skip
    assert acme.acme_sh_install(wanted) == install
    # Where an RSA one is from long ago, acme.sh must be told which of the two is meant.
    for folder in ("shop.example", "shop.example_ecc"):
        (wanted.root / folder).mkdir(parents=True)
    assert acme.acme_sh_install(wanted) == [*install[:4], "--ecc", *install[4:]]


def test_lego(tmp_path: Path) -> None:
    wanted = order(tmp_path)
    names = ["--domains", "shop.example", "--domains", "www.shop.example"]
    start = ["lego", "--path", f"{tmp_path}/lego", "--server", URL, "--accept-tos", "--email"]
    web = ["--http", "--http.webroot", f"{tmp_path}/acme"]
    assert acme.lego(wanted) == [*start, "webmaster@shop.example", *names, *web, "run"]
    more = order(tmp_path, email="me@shop.example", dns="cloudflare", options=("--dns.disable-cp",))
    assert acme.lego(more) == [
        *start, "me@shop.example", *names, "--dns", "cloudflare", "--dns.disable-cp", "run",
    ]  # fmt: skip
    # One account for all apps, also without an address.
    (wanted.state / "accounts" / "ca.example" / "webmaster@first.example").mkdir(parents=True)
    assert acme.lego(wanted)[7] == "webmaster@first.example"


def test_authorities() -> None:
    live, staging = (acme.directory(name) for name in ("letsencrypt.org", "letsencrypt_test"))
    assert live.startswith("https://acme-v02.api.letsencrypt.org/")
    assert staging.startswith("https://acme-staging-v02.api.letsencrypt.org/")
    assert acme.directory("LetsEncrypt") == live
    assert acme.directory("letsencrypt.org_test") == staging
    assert acme.directory(URL) == URL
    with pytest.raises(PikuError, match="zerossl"):
        acme.directory("zerossl")


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


def test_a_failure_is_told_in_the_program_s_words(tmp_path: Path) -> None:
    wanted = order(
        tmp_path, settings={"CF_TOKEN": "opensesame", "STAGE": "live", "PATH": "/nowhere"}
    )
    script(
        wanted.root,
        'echo "[Sat Nov 21 02:38:05 UTC 2026] token $CF_TOKEN, stage $STAGE, $LE_WORKING_DIR"; exit 1',
    )
    with pytest.raises(PikuError, match=r"acme\.sh got no certificate") as caught:
        acme.get(wanted)
    assert caught.value.detail == (f"token ********, stage , {wanted.root}",)


def test_success_without_a_certificate_is_a_failure(tmp_path: Path) -> None:
    wanted = order(tmp_path)
    script(wanted.root, "exit 0")
    with pytest.raises(
        PikuError, match="said that all is well, but what was given as key has none in it"
    ):
        acme.get(wanted)


def test_which_program(tmp_path: Path) -> None:
    assert acme.client(tmp_path) == "lego"
    (tmp_path / "acme.sh").touch()  # not executable
    assert acme.client(tmp_path) == "lego"
    (tmp_path / "acme.sh").chmod(0o755)
    assert acme.client(tmp_path) == "acme.sh"
