"""Branches after a push that failed."""

from __future__ import annotations

from collections.abc import Callable

from piku.deploy import releases
from piku.deploy.releases import Live
from piku.paths import AppPaths
from piku.ssh import push


def test_a_branch_is_put_back_unless_its_commit_went_live(
    shop: AppPaths, commit: Callable[..., str]
) -> None:
    old, new = commit(shop, {"a": "1"}), commit(shop, {"a": "2"})
    update = push.Update(old=old, new=new, ref="refs/heads/main")
    release = releases.new_release(shop, kind="push", description="", commit=new, by="me")
    releases.commit(shop, Live(release=release.number, checkout="v1", start=1))
    assert not push.reset(shop, update)
    assert push.commit_of(shop, update.ref) == new
    releases.new_release(shop, kind="push", description="", commit=new, by="me")  # this one failed
    assert push.reset(shop, update)
    assert push.commit_of(shop, update.ref) == old


def test_a_branch_is_put_back_when_the_live_record_is_damaged(
    shop: AppPaths, commit: Callable[..., str]
) -> None:
    old, new = commit(shop, {"a": "1"}), commit(shop, {"a": "2"})
    update = push.Update(old=old, new=new, ref="refs/heads/main")
    releases.new_release(shop, kind="push", description="", commit=old, by="me")
    shop.live_record.write_text("{")
    assert push.reset(shop, update)
    assert push.commit_of(shop, update.ref) == old
