"""Which certificates live sites want, and when they are tried for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from piku import files
from piku.deploy import certificates, releases
from piku.deploy.certificates import Attempts, Wish
from piku.deploy.releases import Live
from piku.nginx.site import Site
from piku.paths import AppPaths, Paths
from piku.tls import certificate, pem

ELSEWHERE = {"ACME_ROOT_CA": "https://ca.internal/dir"}
Commit = Callable[..., str]


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
def test_what_an_authority_can_be_asked_for(names: str, values: dict[str, str], asked: str) -> None:
    found = certificates.certifiable(tuple(names.split(",")), values)
    assert ",".join(found) == asked


def test_a_push_says_what_a_wildcard_needs(paths: Paths) -> None:
    [said] = certificates.warnings(paths, {"NGINX_SERVER_NAME": "*.shop.de,shop.de"})
    assert "*.shop.de" in said
    assert "ACME_DNS" in said
    by_dns = {"NGINX_SERVER_NAME": "*.shop.de", "ACME_DNS": "cloudflare"}
    assert not certificates.warnings(paths, by_dns)
    assert not certificates.warnings(paths, {"NGINX_SERVER_NAME": "*.shop.localhost,shop.de"})


def live(paths: Paths, app: AppPaths, commit: Commit, env: str, *names: str) -> Site:
    """A site of a live release with these settings."""
    made = commit(app, {"Procfile": "web: x\n", "ENV": env})
    release = releases.new_release(app, kind="push", description="", commit=made, by="me")
    site = Site(app=app.name, names=names)
    activation = Live(number=1, release=release.number, checkout=made, site=site)
    releases.save_activation(app, activation)
    releases.commit(app, activation)
    files.write(app.live_env, env)
    return site


def give(app: AppPaths, source: str, *names: str) -> certificate.Certificate:
    """A certificate that is on disk."""
    text = Path(certificate.certificate(app, names).path).read_text()
    bundle = pem.bundle(text, "")
    place = (
        certificate.own_path(app)
        if source == certificate.OWN
        else certificate.acme_path(app, names)
    )
    found = certificate.store(place, bundle, source)
    # Self-signed as all of these are, it stands for one that an authority signed.
    place.write_text(place.read_text().replace('"trusted": false', '"trusted": true'))
    return found


def test_a_site_wants_one_until_it_has_one(paths: Paths, shop: AppPaths, commit: Commit) -> None:
    site = live(
        paths, shop, commit, "NGINX_SERVER_NAME=shop.de\nACME_EMAIL=me@shop.de\n", "shop.de"
    )
    wanted = certificates.wish(paths, shop, site)
    assert wanted is not None
    assert wanted.names == ("shop.de",)
    assert wanted.values["ACME_EMAIL"] == "me@shop.de"
    assert certificates.is_due(shop, wanted, time.time())
    found = give(shop, "lego", "shop.de")
    assert not certificates.is_due(shop, wanted, time.time())
    assert certificates.is_due(shop, wanted, found.not_after - 10)

    # Its owner's own is none of ours, until it ends.
    own = give(shop, certificate.OWN, "shop.de")
    assert certificates.wish(paths, shop, site) is None
    text = certificate.own_path(shop).read_text()
    certificate.own_path(shop).write_text(
        text.replace(str(own.not_after), str(int(time.time()) + 86400))
    )
    assert certificates.wish(paths, shop, site) is not None
    # The one that is there for then is enough, although the own one is still served.
    assert not certificates.is_due(shop, wanted, time.time())


def test_local_names_are_asked_for_where_there_is_an_authority(
    paths: Paths, shop: AppPaths, commit: Commit
) -> None:
    site = live(paths, shop, commit, "A=1\n", "shop.localhost")
    assert certificates.wish(paths, shop, site) is None
    paths.server_env.write_text("ACME_ROOT_CA=https://ca.internal/dir\n")
    assert certificates.wish(paths, shop, site) is not None


def test_pauses_grow_and_a_change_ends_them(paths: Paths, shop: AppPaths) -> None:
    wanted = Wish(names=("shop.de",), values={})
    assert certificates.attempts(paths, shop) == Attempts()
    pauses = []
    for _ in range(8):
        tried = certificates.note_failure(paths, shop, wanted, "no")
        pauses.append(round(tried.next - tried.last))
    assert pauses == [60, 300, 900, 3600, 21600, 86400, 86400, 86400]
    assert certificates.attempts(paths, shop) == tried
    assert not certificates.may_try(tried, wanted, tried.next - 1)
    assert certificates.may_try(tried, wanted, tried.next)
    changed = Wish(names=("shop.de",), values={"ACME_EMAIL": "me@shop.de"})
    assert certificates.may_try(tried, changed, tried.last)
    assert certificates.note_failure(paths, shop, changed, "no").count == 1

    (paths.root / "certificates" / "shop.json").write_text("{")
    assert certificates.attempts(paths, shop) == Attempts()
    certificates.forget_failures(paths, shop)
    assert not (paths.root / "certificates" / "shop.json").exists()
    assert (paths.root / "certificates").stat().st_mode & 0o777 == 0o700


def test_when_an_authority_is_asked(paths: Paths, shop: AppPaths, commit: Commit) -> None:
    site = live(paths, shop, commit, "", "shop.de")
    local = Site(app=shop.name, names=("shop.localhost",))

    def due(now: Site) -> bool:
        return certificates.due(paths, {shop.name: now})

    assert not due(local)
    assert due(site)
    wanted = certificates.wish(paths, shop, site)
    assert wanted is not None
    certificates.note_failure(paths, shop, wanted, "no")
    assert not due(site)
    give(shop, "lego", "shop.de")
    assert not due(site)
    give(shop, certificate.OWN, "shop.de")
    assert not due(local)
    # Settings that are wrong are told where they are read.
    shop.nginx.with_name("shop@own.pem").unlink()
    paths.server_env.write_text("nonsense\n")
    assert due(Site(app=shop.name, names=("other.de",)))
