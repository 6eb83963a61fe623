"""Which certificates live sites want, and when they are tried for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from piku.deploy import certificates
from piku.deploy.certificates import Attempts, Request
from piku.nginx.site import Site
from piku.paths import AppPaths, Paths
from piku.tls import certificate

ELSEWHERE = {"ACME_ROOT_CA": "https://ca.internal/dir"}


@pytest.mark.parametrize(
    ("names", "values", "asked"),
    [
        ("shop.de,www.shop.de", {}, "shop.de,www.shop.de"),
        ("shop.de,shop.localhost,192.0.2.1", {}, "shop.de"),
        ("shop.localhost,shop", {}, ""),
        ("shop.localhost,shop,192.0.2.1", ELSEWHERE, "shop.localhost,shop"),
        ("*.shop.de,shop.de", {}, "shop.de"),
        ("*.shop.de,shop.de", {"ACME_DNS": "cloudflare"}, "*.shop.de,shop.de"),
    ],
)
def test_what_an_authority_can_be_asked_for(
    paths: Paths, names: str, values: dict[str, str], asked: str
) -> None:
    found = certificates.certifiable(paths, tuple(names.split(",")), values)
    assert ",".join(found) == asked


def give(app: AppPaths, source: str, *names: str) -> certificate.Certificate:
    """A certificate that is on disk."""
    made = certificate.certificate(app, names)
    text = Path(made.path).read_text().partition("\n")[2]
    own = source == certificate.OWN
    place = certificate.own_path(app) if own else certificate.acme_path(app, names)
    found = certificate.write(place, certificate.inspect(text, source), text)
    # Self-signed as all of these are, it stands for one that an authority signed.
    place.write_text(place.read_text().replace('"trusted": false', '"trusted": true'))
    return found


def test_a_site_wants_one_until_it_has_one(paths: Paths, shop: AppPaths) -> None:
    site = Site(app=shop.name, names=("shop.de",))
    shop.envs.mkdir(parents=True)
    shop.live_env.write_text("ACME_EMAIL=me@shop.de\n")
    wanted = certificates.request(paths, shop, site)
    assert wanted is not None
    assert wanted.names == ("shop.de",)
    assert wanted.values["ACME_EMAIL"] == "me@shop.de"
    assert certificates.is_due(shop, wanted)
    give(shop, "lego", "shop.de")
    assert not certificates.is_due(shop, wanted)

    # Its owner's own is none of ours, until it expires.
    own = give(shop, certificate.OWN, "shop.de")
    assert certificates.request(paths, shop, site) is None
    text = certificate.own_path(shop).read_text()
    tomorrow = str(int(time.time()) + 86400)
    certificate.own_path(shop).write_text(text.replace(str(own.not_after), tomorrow))
    assert certificates.request(paths, shop, site) is not None
    # The one that is there for then is enough, although the own one is still served.
    assert not certificates.is_due(shop, wanted)


def test_local_names_are_asked_for_where_there_is_an_authority(
    paths: Paths, shop: AppPaths
) -> None:
    site = Site(app=shop.name, names=("shop.localhost",))
    assert certificates.request(paths, shop, site) is None
    paths.server_env.write_text("ACME_ROOT_CA=https://ca.internal/dir\n")
    assert certificates.request(paths, shop, site) is not None


def test_pauses_grow_and_a_change_ends_them(paths: Paths, shop: AppPaths) -> None:
    wanted = Request(names=("shop.de",), values={})
    assert certificates.attempts(paths, shop) == Attempts()
    pauses = []
    for _ in range(8):
        tried = certificates.note_failure(paths, shop, wanted, "no")
        pauses.append(round(tried.next - time.time()))
    assert pauses == [60, 300, 900, 3600, 21600, 86400, 86400, 86400]
    assert certificates.attempts(paths, shop) == tried
    assert not tried.may_retry(wanted)
    changed = Request(names=("shop.de",), values={"ACME_EMAIL": "me@shop.de"})
    assert tried.may_retry(changed)
    assert certificates.note_failure(paths, shop, changed, "no").count == 1

    (paths.root / "certificates" / "shop.json").write_text("{")
    assert certificates.attempts(paths, shop) == Attempts()
    certificates.forget_failures(paths, shop)
    assert not (paths.root / "certificates" / "shop.json").exists()
    assert (paths.root / "certificates").stat().st_mode & 0o777 == 0o700


def test_when_an_authority_is_asked(paths: Paths, shop: AppPaths) -> None:
    site = Site(app=shop.name, names=("shop.de",))
    local = Site(app=shop.name, names=("shop.localhost",))

    def due(now: Site) -> bool:
        return certificates.due(paths, {shop.name: now})

    assert not due(local)
    assert due(site)
    wanted = certificates.request(paths, shop, site)
    assert wanted is not None
    certificates.note_failure(paths, shop, wanted, "no")
    assert not due(site)
    give(shop, "lego", "shop.de")
    assert not due(site)
    # Settings that are wrong are reported where they are read.
    paths.server_env.write_text("nonsense\n")
    assert due(site)
