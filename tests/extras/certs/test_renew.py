"""Which certificates live sites get, and when an attempt is repeated."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from piku import records
from piku.deploy import releases
from piku.extras.certs import renew
from piku.nginx.site import Site
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths
from piku.tls import certificate

SCRIPT = """\
#!/bin/sh -e
echo "$@" >>"$LE_WORKING_DIR/calls"
test ! -e "$LE_WORKING_DIR/away" || { echo "no answer"; exit 1; }
new="openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30"
mkdir -p "$LE_WORKING_DIR/shop.de_ecc"
cd "$LE_WORKING_DIR/shop.de_ecc"
$new -subj /CN=Office -keyout ca.key -out ca.cer
$new -subj /CN=x -addext "subjectAltName=DNS:shop.de,DNS:www.shop.de" -CA ca.cer -CAkey ca.key \
  -keyout shop.de.key -out fullchain.cer
"""


@pytest.fixture
def root(paths: Paths) -> Path:
    """The folder of an acme.sh."""
    place = paths.home / ".acme.sh"
    place.mkdir(parents=True)
    (place / "acme.sh").write_text(SCRIPT)
    (place / "acme.sh").chmod(0o755)
    return place


def goes_live(
    app: AppPaths, *names: str, settings: str = "", own: Mapping[str, str] | None = None
) -> None:
    app.repo.mkdir(parents=True, exist_ok=True)
    release = releases.Release(
        number=1, kind="config", description="", commit="", by="", created=0, settings=own or {}
    )
    releases.save_release(app, release)
    site = Site(app=app.name, names=names)
    releases.commit(app, releases.Live(release=1, checkout="v1", start=1, site=site))
    app.envs.mkdir(parents=True, exist_ok=True)
    app.live_env.write_text(settings)


def calls(root: Path) -> list[str]:
    place = root / "calls"
    return place.read_text().splitlines() if place.exists() else []


def renewed(paths: Paths, **options: bool) -> str:
    said = io.StringIO()
    renew.renew(paths, Output(said), **options)
    return said.getvalue()


def test_a_site_gets_one_until_it_has_one(paths: Paths, shop: AppPaths, root: Path) -> None:
    goes_live(shop, "shop.de", "www.shop.de", "shop.localhost")
    assert "certificate from Office" in renewed(paths)
    assert calls(root) == [
        f"--issue --force -d shop.de -d www.shop.de -w {paths.acme} --server letsencrypt.org"
    ]
    found = certificate.certificate(shop, ("shop.de",))
    assert (found.source, found.names) == ("acme.sh", ("shop.de", "www.shop.de"))
    assert renewed(paths) == ""
    assert "acme.sh certificate, valid until" in renewed(paths, asked=True)
    renewed(paths, asked=True, force=True)
    assert len(calls(root)) == 2

    # In the last third of its lifetime.
    place = Path(found.path)
    head, _, rest = place.read_text().partition("\n")
    said = json.loads(head.removeprefix("# piku: "))
    place.write_text(f"# piku: {json.dumps({**said, 'not_before': 0})}\n{rest}")
    renewed(paths)
    assert len(calls(root)) == 3


def test_an_own_or_existing_one_is_enough(paths: Paths, shop: AppPaths, root: Path) -> None:
    goes_live(shop, "shop.de")
    renewed(paths)
    before = calls(root)
    got = Path(certificate.certificate(shop, ("shop.de",)).path)
    text = got.read_text().partition("\n")[2]
    got.unlink()
    renewed(paths)
    assert got.exists(), "what acme.sh has is taken"
    renew.put(paths, shop, certificate.OWN, certificate.inspect(text, certificate.OWN), text)
    renewed(paths, asked=True, force=True)
    assert certificate.certificate(shop, ("shop.de",)).source == certificate.OWN
    assert calls(root) == before


@pytest.mark.parametrize(
    ("names", "settings", "asked"),
    [
        (("shop.localhost", "shop"), "", False),
        (("*.shop.de",), "", False),
        (("shop.localhost",), "ACME_ROOT_CA=https://ca.internal/dir\n", True),
        (("192.0.2.1",), "ACME_ROOT_CA=https://ca.internal/dir\n", False),
    ],
)
def test_what_an_authority_is_asked_for(
    paths: Paths, shop: AppPaths, root: Path, names: tuple[str, ...], settings: str, asked: bool
) -> None:
    goes_live(shop, *names, settings=settings)
    renewed(paths)
    assert bool(calls(root)) == asked


@pytest.mark.parametrize(("left", "late"), [(31, False), (29, True), (-1, True)])
def test_late_with_less_than_a_third_left(left: int, late: bool) -> None:
    found = certificate.Certificate(
        names=("a.example",), issuer="CA", not_before=0, not_after=90, trusted=True, source="lego"
    )
    assert renew.is_late(found, 90 - left) is late


def test_pauses_grow_and_other_names_end_them(paths: Paths, shop: AppPaths, root: Path) -> None:
    goes_live(shop, "shop.de")
    (root / "away").touch()
    for pause in (60, 300, 1500, 7500, 37500, 86400, 86400):
        begun = time.time()
        said = renewed(paths, asked=True)
        assert begun <= renew.failures(shop).retry - pause <= time.time()
    assert "no answer" in said
    assert "the next attempt is at" in said
    before = len(calls(root))
    assert renewed(paths) == ""
    assert len(calls(root)) == before

    # The clock is set back by a day, or forward.
    noted = shop.nginx.with_name("shop@acme.json")
    for jump in (-86400, 86400 + 60):
        last = renew.failures(shop)
        records.save(noted, replace(last, retry=last.retry - jump))
        renewed(paths)
        before += 1
        assert len(calls(root)) == before

    goes_live(shop, "shop.de", "www.shop.de")
    renewed(paths)
    assert renew.failures(shop).count == 1
    noted.write_text("{")
    (root / "away").unlink()
    renewed(paths)
    assert renew.failures(shop) == renew.Failures()
    assert not noted.exists()


def test_what_a_client_obeys_is_not_for_a_repository_to_say(paths: Paths, shop: AppPaths) -> None:
    """Such as the file with the token, and the server to which lego sends it."""
    paths.server_env.write_text("HTTPS_PROXY=http://proxy\nLEGO_CA_CERTIFICATES=/ca\n")
    own = {"CLOUDFLARE_DNS_API_TOKEN": "secret", "ACME_DNS": "cloudflare"}
    goes_live(shop, "shop.de", own=own)
    # What the next release will have, or the one before had, is not that of the certificate.
    releases.write_settings(shop, {"ACME_DNS": "exec"})
    live = {
        "LEGO_CA_CERTIFICATES": "/evil",
        "CLOUDFLARE_BASE_URL": "http://evil",
        "CLOUDFLARE_DNS_API_TOKEN_FILE": "/home/piku/.ssh/id_ed25519",
        "EXEC_PATH": "/evil",
        "ACME_EMAIL": "me@shop.example",
        "ACME_DNS": "cloudflare",
    }
    assert renew.given(paths, shop, live) == {
        "ACME_EMAIL": "me@shop.example",
        "ACME_DNS": "cloudflare",
        "CLOUDFLARE_DNS_API_TOKEN": "secret",
        "HTTPS_PROXY": "http://proxy",
        "LEGO_CA_CERTIFICATES": "/ca",
    }


def test_what_cannot_be_read_of_one_app_stops_no_other(
    paths: Paths, shop: AppPaths, root: Path
) -> None:
    first, closed = paths.app(AppName("first")), paths.home / "closed"
    closed.mkdir(mode=0)
    goes_live(first, "first.de", settings=f"ACME_ROOT={closed}/acme.sh\n")
    goes_live(shop, "shop.de")
    said = renewed(paths)
    closed.chmod(0o700)
    assert "certificate from Office" in said, said
    assert certificate.certificate(shop, ("shop.de",)).source == "acme.sh"


def test_an_attempt_that_is_cut_off_is_followed_by_a_pause(
    paths: Paths, shop: AppPaths, root: Path
) -> None:
    goes_live(shop, "shop.de")
    record = certificate.place(shop, certificate.ACME).with_suffix(".json")
    (root / "acme.sh").write_text(f"#!/bin/sh\ncp '{record}' \"$LE_WORKING_DIR/noted\"; exit 1\n")
    renewed(paths)
    noted = json.loads((root / "noted").read_text())
    assert (noted["count"], noted["error"]) == (1, "")
    assert noted["retry"] > time.time() + 30
    assert renew.failures(shop).count == 1
