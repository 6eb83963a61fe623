"""What is removed with the releases that are no longer kept, and what is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from piku import files, subprocesses
from piku.deploy import checkout, cleanup, releases
from piku.deploy.releases import Live
from piku.paths import AppPaths, Paths
from piku.uwsgi import emperor
from piku.uwsgi.emperor import VassalName

Commit = Callable[..., str]
Kept = tuple[set[str], set[str], set[str], list[int], set[str]]


@pytest.fixture
def grown(shop: AppPaths, commit: Commit) -> list[str]:
    """An app with five releases, each with code, environment and log of its own; the commits."""
    commits = []
    for number in range(1, 6):
        name = commit(shop, {"Procfile": "web: x\n", "n": str(number)})
        subprocesses.run(["git", "-C", str(shop.repo), "update-ref", f"refs/piku/{name}", name])
        checkout.create(shop, f"v{number}", name)
        checkout.mark_built(shop, f"v{number}")
        environment = f"python-{number:016}"
        (shop.envs / environment).mkdir(parents=True)
        files.write(shop.logs / f"web.1@{number + 10}.log", "x")
        releases.new_release(
            shop, kind="push", description="", commit=name, by="me", checkout=f"v{number}",
            environment=environment, outcome=releases.SUCCEEDED, starts=(number + 10,),
        )  # fmt: skip
        commits.append(name)
    releases.commit(shop, Live(start=15, release=5, checkout="v5"))
    return commits


def kept(shop: AppPaths) -> Kept:
    """What is left: checkouts, environments, references, records and logs."""
    listing = ["git", "-C", str(shop.repo), "for-each-ref", "--format=%(refname)", "refs/piku/"]
    refs = subprocesses.run(listing).split()
    return (
        {path.name for path in shop.releases.iterdir() if path.is_dir()},
        {path.name for path in shop.envs.iterdir() if path.is_dir()},
        {ref.rpartition("/")[2] for ref in refs},
        releases.release_numbers(shop),
        {path.name for path in shop.logs.iterdir()},
    )


def of(commits: list[str], *numbers: int) -> Kept:
    return (
        {f"v{number}" for number in numbers},
        {f"python-{number:016}" for number in numbers},
        {commits[number - 1] for number in numbers},
        list(numbers),
        {f"web.1@{number + 10}.log" for number in numbers},
    )


def test_a_release_goes_with_all_that_it_describes(
    paths: Paths, shop: AppPaths, grown: list[str]
) -> None:
    (shop.envs / "somebodys").mkdir()
    cleanup.prune(paths, shop, 2)
    (shop.envs / "somebodys").rmdir()  # was left alone
    assert kept(shop) == of(grown, 4, 5)
    assert not shop.build_marker("v1").exists()
    cleanup.prune(paths, shop, 2)
    assert kept(shop) == of(grown, 4, 5)


def test_the_live_release_is_kept_however_old(
    paths: Paths, shop: AppPaths, grown: list[str]
) -> None:
    releases.commit(shop, Live(start=11, release=1, checkout="v1"))
    cleanup.prune(paths, shop, 1)
    assert kept(shop) == of(grown, 1, 5)


def test_a_release_is_kept_while_its_processes_answer_requests(
    paths: Paths, shop: AppPaths, grown: list[str]
) -> None:
    emperor.enable(paths, [VassalName(shop.name, 12, "web", 1)])
    cleanup.prune(paths, shop, 1)
    assert kept(shop) == of(grown, 2, 5)


def test_failed_releases_count_for_nothing(paths: Paths, shop: AppPaths, grown: list[str]) -> None:
    for number in (3, 4):
        record = replace(releases.load_release(shop, number), outcome=releases.FAILED)
        releases.save_release(shop, record)
    cleanup.prune(paths, shop, 2)
    assert kept(shop)[0] == {"v2", "v5"}
    assert kept(shop)[3] == [2, 3, 4, 5], "why they failed is kept as long as what is older"


def test_a_checkout_with_files_of_the_app_stays(
    paths: Paths, shop: AppPaths, grown: list[str]
) -> None:
    (shop.releases / "v1" / "upload.txt").write_text("precious")
    cleanup.prune(paths, shop, 1)
    assert kept(shop)[0] == {"v1", "v5"}
    assert (shop.releases / "v1" / "upload.txt").read_text() == "precious"


def test_logs_of_restarts_do_not_pile_up(paths: Paths, shop: AppPaths, grown: list[str]) -> None:
    record = replace(releases.load_release(shop, 5), starts=tuple(range(15, 25)))
    releases.save_release(shop, record)
    for start in range(15, 25):
        files.write(shop.logs / f"web.1@{start}.log.old", "x")
    cleanup.prune(paths, shop, 1)
    assert kept(shop)[4] == {f"web.1@{start}.log.old" for start in range(20, 25)}


def test_a_kept_checkout_still_has_its_objects(
    paths: Paths, shop: AppPaths, commit: Commit, grown: list[str]
) -> None:
    commit(shop, {"Procfile": "web: other\n"})  # the branch moves on, by force
    cleanup.prune(paths, shop, 1)
    subprocesses.run(["git", "-C", str(shop.repo), "gc", "--quiet", "--prune=now"])
    status = ["git", "-C", str(shop.releases / "v5"), "status", "--porcelain"]
    assert subprocesses.run(status) == ""
