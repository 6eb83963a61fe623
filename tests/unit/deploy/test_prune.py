"""What is let go of, and what is not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from piku import files, subprocesses
from piku.deploy import build, checkout, prune, releases, revision
from piku.deploy.releases import Live
from piku.paths import AppPaths, Paths

Commit = Callable[..., str]


@pytest.fixture
def grown(paths: Paths, shop: AppPaths, commit: Commit) -> list[str]:
    """An app with five releases, each with code and environment of its own; the commits, oldest first."""
    commits = []
    for number in range(1, 6):
        name = commit(shop, {"Procfile": "web: x\n", "n": str(number)})
        subprocesses.run(["git", "-C", str(shop.repo), "update-ref", f"refs/piku/{name}", name])
        found = revision.read(paths, shop, name, {})
        build.prepare_checkout(shop, found)
        checkout.mark_built(shop, name, "")
        environment = f"python-{number:016}"
        files.write(shop.envs / environment / ".piku-complete", "")
        release = releases.new_release(
            shop, kind="push", description="", commit=name, by="me", checkout=name, environment=environment,
            outcome=releases.SUCCEEDED,
        )  # fmt: skip
        releases.save_activation(shop, Live(number=number, release=release.number, checkout=name))
        commits.append(name)
    releases.commit(shop, Live(number=5, release=5, checkout=commits[-1]))
    return commits


def kept(shop: AppPaths) -> tuple[set[str], set[str], set[str]]:
    refs = subprocesses.run(
        ["git", "-C", str(shop.repo), "for-each-ref", "--format=%(refname)", "refs/piku/"]
    )
    return (
        {
            path.name
            for path in shop.releases.iterdir()
            if path.is_dir() and path.name != "activations"
        },
        {path.name for path in build.environments(shop)},
        {ref.rpartition("/")[2] for ref in refs.split()},
    )


def test_the_last_releases_keep_code_environment_and_commit(
    shop: AppPaths, grown: list[str]
) -> None:
    prune.prune(shop, 2)
    assert kept(shop) == (
        set(grown[3:]),
        {"python-0000000000000004", "python-0000000000000005"},
        set(grown[3:]),
    )
    assert len(releases.releases(shop)) == 5, "the records tell the history"
    assert not revision.built_marker(shop, grown[0]).exists()
    prune.prune(shop, 2)
    assert kept(shop)[0] == set(grown[3:])


def test_what_was_noted_of_a_checkout_goes_with_it_even_if_killed(
    shop: AppPaths, grown: list[str]
) -> None:
    files.remove(shop.releases / grown[0])  # and then somebody was killed
    assert revision.built_marker(shop, grown[0]).exists()
    prune.prune(shop, 5)
    assert not revision.built_marker(shop, grown[0]).exists()
    assert revision.built_marker(shop, grown[1]).exists()


def test_the_live_release_is_kept_however_old(shop: AppPaths, grown: list[str]) -> None:
    releases.commit(shop, Live(number=1, release=1, checkout=grown[0]))
    prune.prune(shop, 1)
    assert kept(shop)[0] == {grown[0], grown[4]}
    assert kept(shop)[1] == {"python-0000000000000001", "python-0000000000000005"}


def test_failed_releases_take_nobodys_place(shop: AppPaths, grown: list[str]) -> None:
    for number in (3, 4):
        releases.save_release(
            shop, replace(releases.load_release(shop, number), outcome=releases.FAILED)
        )
    prune.prune(shop, 2)
    assert kept(shop)[0] == {grown[1], grown[4]}


def test_a_checkout_with_files_of_the_app_stays(shop: AppPaths, grown: list[str]) -> None:
    (shop.releases / grown[0] / "upload.txt").write_text("precious")
    prune.prune(shop, 1)
    assert kept(shop)[0] == {grown[0], grown[4]}
    assert (shop.releases / grown[0] / "upload.txt").read_text() == "precious"


def test_leftovers_of_a_killed_checkout_go(shop: AppPaths, grown: list[str]) -> None:
    (shop.releases / ".checkout.tmp" / "x").mkdir(parents=True)
    (shop.envs / "python-half").mkdir()
    prune.prune(shop, 5)
    assert kept(shop)[0] == set(grown)
    assert not (shop.envs / "python-half").exists()


def test_a_kept_checkout_still_has_its_objects(
    shop: AppPaths, commit: Commit, grown: list[str]
) -> None:
    commit(shop, {"Procfile": "web: other\n"})  # the branch moves on, by force
    prune.prune(shop, 1)
    subprocesses.run(["git", "-C", str(shop.repo), "gc", "--quiet", "--prune=now"])
    assert (
        subprocesses.run(["git", "-C", str(shop.releases / grown[4]), "status", "--porcelain"])
        == ""
    )


def test_what_a_killed_push_had_sent_is_removed_after_a_day(
    shop: AppPaths, grown: list[str]
) -> None:
    objects = shop.repo / "objects"
    for name, hours in (
        ("tmp_objdir-incoming-a", 25),
        ("tmp_objdir-incoming-b", 23),
        ("pack/tmp_pack_c", 25),
    ):
        files.write(objects / name / "x" if "objdir" in name else objects / name, "sent")
        when = time.time() - hours * 3600
        os.utime(objects / name, (when, when))
    prune.prune(shop, 2)
    assert [path.name for path in objects.rglob("tmp_*")] == ["tmp_objdir-incoming-b"]
