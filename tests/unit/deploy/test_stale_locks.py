"""git's lock files in an app's repository, and when nobody can hold them."""

from __future__ import annotations

import subprocess

from piku.deploy import checkout
from piku.paths import AppPaths
from piku.ssh import git


def test_a_lock_goes_unless_a_program_is_at_work_there(shop: AppPaths) -> None:
    git.create_repository(shop, ["piku"], {})
    stale = [shop.repo / "HEAD.lock", shop.repo / "refs" / "heads" / "main.lock"]
    stale[1].parent.mkdir(parents=True, exist_ok=True)
    for place in stale:
        place.touch()
    with subprocess.Popen(["cat"], cwd=shop.repo, stdin=subprocess.PIPE):  # ends when this does
        checkout.remove_stale_locks(shop.repo)
        assert all(place.exists() for place in stale)
    checkout.remove_stale_locks(shop.repo)
    assert not any(place.exists() for place in stale)
    assert (shop.repo / "HEAD").exists()
