"""How lego is called."""

from __future__ import annotations

from pathlib import Path

import pytest

from piku.errors import PikuError
from piku.extras.certs import lego
from tests.unit.tls.test_acme import URL, order


def test_how_it_is_called(tmp_path: Path) -> None:
    wanted = order(tmp_path)
    names = ["--domains", "shop.example", "--domains", "www.shop.example"]
    start = ["lego", "--path", f"{tmp_path}/lego", "--server", URL, "--accept-tos", "--email"]
    web = ["--http", "--http.webroot", f"{tmp_path}/acme"]
    assert lego.command(wanted) == [*start, "webmaster@shop.example", *names, *web, "run"]
    more = order(tmp_path, email="me@shop.example", options=("--dns.disable-cp",),
                 settings={"ACME_DNS": "cloudflare"})  # fmt: skip
    assert lego.command(more) == [
        *start, "me@shop.example", *names, "--dns", "cloudflare", "--dns.disable-cp", "run",
    ]  # fmt: skip
    # One account for all apps, also without an address.
    (wanted.state / "accounts" / "ca.example" / "webmaster@first.example").mkdir(parents=True)
    assert lego.command(wanted)[7] == "webmaster@first.example"


def test_authorities() -> None:
    live, staging = (lego.directory(name) for name in ("letsencrypt.org", "letsencrypt_test"))
    assert live.startswith("https://acme-v02.api.letsencrypt.org/")
    assert staging.startswith("https://acme-staging-v02.api.letsencrypt.org/")
    assert lego.directory("LetsEncrypt") == live
    assert lego.directory("letsencrypt.org_test") == staging
    assert lego.directory(URL) == URL
    with pytest.raises(PikuError, match="zerossl"):
        lego.directory("zerossl")
