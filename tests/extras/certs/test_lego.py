"""How lego is called, and when it is the client."""

from __future__ import annotations

from pathlib import Path

import pytest

from piku.errors import PikuError
from piku.extras.certs import clients, lego
from piku.extras.certs.settings import ACME_ROOT_CA
from piku.paths import Paths

URL = "https://ca.example/dir"
NAMES = ("shop.example", "www.shop.example")


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(root=tmp_path / "root", home=tmp_path)


def test_how_it_is_called(paths: Paths) -> None:
    wanted = {"ACME_ROOT_CA": URL}
    names = ["--domains", "shop.example", "--domains", "www.shop.example"]
    state = paths.root / "certificates"
    start = ["lego", "--path", str(state), "--server", URL, "--accept-tos", "--email"]
    web = ["--http", "--http.webroot", str(paths.acme)]
    assert lego.command(paths, NAMES, wanted) == [
        *start, "webmaster@shop.example", *names, *web, "run",
    ]  # fmt: skip
    more = {**wanted, "ACME_EMAIL": "me@shop.example", "ACME_OPTIONS": "--dns.disable-cp",
            "ACME_DNS": "cloudflare"}  # fmt: skip
    assert lego.command(paths, NAMES, more) == [
        *start, "me@shop.example", *names, "--dns", "cloudflare", "--dns.disable-cp", "run",
    ]  # fmt: skip
    # One account for all apps, also without an address.
    (state / "accounts" / "ca.example" / "webmaster@first.example").mkdir(parents=True)
    assert lego.command(paths, NAMES, wanted)[7] == "webmaster@first.example"


def test_authorities() -> None:
    live, staging = (lego.directory(name) for name in ("letsencrypt.org", "letsencrypt_test"))
    assert live.startswith("https://acme-v02.api.letsencrypt.org/")
    assert staging.startswith("https://acme-staging-v02.api.letsencrypt.org/")
    assert lego.directory("LetsEncrypt") == live
    assert lego.directory("letsencrypt.org_test") == staging
    assert lego.directory(URL) == URL
    with pytest.raises(PikuError, match="zerossl"):
        lego.directory("zerossl")
    for name in ("letsencrypt.org", "https://localhost:14000/dir"):
        assert ACME_ROOT_CA.read({"ACME_ROOT_CA": name}) == name
    with pytest.raises(PikuError, match="not an authority's name"):
        ACME_ROOT_CA.read({"ACME_ROOT_CA": "http://x/"})


def test_it_is_the_client_without_acme_sh_and_for_wildcards(paths: Paths) -> None:
    def client(**settings: str) -> tuple[bool, bool]:
        """Whether there is lego, and whether it is asked for wildcards."""
        found = clients.client(paths, settings)
        assert found is not None
        return found.fetch is lego.fetch, found.wildcards

    assert client() == (True, False)
    script = paths.home / ".acme.sh" / "acme.sh"
    script.parent.mkdir()
    script.touch()  # not executable
    assert client() == (True, False)
    script.chmod(0o755)
    assert client() == (False, False)
    assert client(ACME_DNS="cloudflare") == (True, True)
