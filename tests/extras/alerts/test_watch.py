"""Which releases are told of, and when."""

from __future__ import annotations

from dataclasses import replace

from piku.deploy import releases
from piku.extras.alerts import problems, watch
from piku.paths import AppPaths, Paths


def test_a_release_that_waits_is_told_of_when_it_goes_live(paths: Paths, shop: AppPaths) -> None:
    shop.repo.mkdir()
    one = releases.new_release(shop, kind="push", description="Wait", commit="c", by="ada (x)")
    releases.save_release(shop, replace(one, outcome=releases.BUILT))
    before = watch.State(told={"shop": watch._newest(shop)})
    releases.save_release(shop, replace(one, outcome=releases.SUCCEEDED))
    now = watch.State(told={"shop": watch._newest(shop)})
    [alert] = watch._deploys(paths, before, now)
    assert (alert.event, alert.what) == ("live", "v1 (Wait, by ada) went live")


def test_what_cannot_be_read_of_an_app_is_its_problem(paths: Paths, shop: AppPaths) -> None:
    shop.repo.mkdir()
    shop.live_record.parent.mkdir(parents=True)
    shop.lock.mkdir(parents=True)  # in place of a file
    found = problems.of_app(paths, shop, {})
    assert found is not None and list(found) == ["records"]
