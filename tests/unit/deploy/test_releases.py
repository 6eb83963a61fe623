"""Records on disk are read back as they were."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piku.deploy import releases
from piku.deploy.releases import Live, Process, Release
from piku.errors import PikuError
from piku.nginx.site import Site, Static
from piku.paths import AppName, AppPaths, Paths

TEXT = st.binary(max_size=20).map(os.fsdecode) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=20
)
RELEASES = st.builds(
    Release,
    number=st.integers(1, 10**6), kind=TEXT, description=TEXT, commit=TEXT, by=TEXT, created=st.floats(0,
    1e10),
    outcome=st.sampled_from(["building", "built", "succeeded", "failed"]), step=TEXT, reason=TEXT,
    settings=st.dictionaries(TEXT, TEXT, max_size=3), runtime=TEXT, environment=TEXT, checkout=TEXT,
)  # fmt: skip
PROCESSES = st.builds(
    Process,
    kind=TEXT, instance=st.integers(1, 9), start=st.integers(1, 99), port=st.none() | st.integers(1, 65535),
    address=TEXT,
)  # fmt: skip
TEXTS = st.lists(TEXT, max_size=2).map(tuple)
SITES = st.builds(
    Site,
    app=TEXT, names=TEXTS, serving=TEXT, upstreams=TEXTS, include=TEXT,
    static=st.lists(st.builds(Static, prefix=TEXT, path=TEXT, before=TEXT), max_size=2).map(tuple),
)  # fmt: skip
LIVES = st.builds(
    Live,
    start=st.integers(1, 99), release=st.integers(1, 99), checkout=TEXT, stopped=st.booleans(),
    processes=st.lists(PROCESSES, max_size=3).map(tuple), site=st.none() | SITES,
)  # fmt: skip


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> AppPaths:
    root = tmp_path_factory.mktemp("records")
    return Paths(root=root, home=root).app(AppName("shop"))


@given(RELEASES)
def test_a_release(kept: AppPaths, release: Release) -> None:
    releases.save_release(kept, release)
    assert releases.load_release(kept, release.number) == release


@given(LIVES)
def test_what_is_live(kept: AppPaths, live: Live) -> None:
    releases.commit(kept, live)
    found = releases.live(kept)
    assert found == live
    assert hash(found.processes) == hash(live.processes)  # tuples all the way down, as before


def test_a_record_of_another_version_is_read_and_a_damaged_one_named(shop: AppPaths) -> None:
    releases.commit(shop, Live(start=1, release=1, checkout="v1"))
    stored = json.loads(shop.live_record.read_text())
    shop.live_record.write_text(json.dumps({**stored, "invented": [1]}))
    assert releases.live(shop) == Live(start=1, release=1, checkout="v1")
    for text in ("[]", "{", "{}", json.dumps({**stored, "processes": {"a": 1}}), " "):
        shop.live_record.write_text(text)
        with pytest.raises(PikuError, match=r"live\.json is damaged"):
            releases.live(shop)


def test_releases_are_numbered_and_listed_with_the_newest_first(shop: AppPaths) -> None:
    values = {"kind": "push", "description": "", "commit": "c", "by": "me"}
    assert list(releases.releases(shop)) == []
    assert [releases.new_release(shop, **values).number for _ in range(11)] == list(range(1, 12))
    (shop.releases / "vx.json").write_text("not ours")
    (shop.releases / "v².json").write_text("not ours")
    assert [release.number for release in releases.releases(shop)] == list(range(11, 0, -1))
    assert releases.load_release(shop, 3).outcome == releases.BUILDING
    assert not releases.load_release(shop, 3).usable


def test_a_release_that_never_was(shop: AppPaths) -> None:
    with pytest.raises(PikuError, match="shop has no release v7") as error:
        releases.load_release(shop, 7)
    assert "piku releases shop" in error.value.hint


def test_records_are_private(shop: AppPaths) -> None:
    # They hold the settings, and with them secrets.
    releases.new_release(
        shop, kind="push", description="", commit="c", by="me", settings={"K": "secret"}
    )
    assert shop.release_record(1).stat().st_mode & 0o777 == 0o600
    releases.write_settings(shop, {"K": "secret"})
    assert shop.settings.stat().st_mode & 0o777 == 0o600


def test_starts_never_reuse_a_number(paths: Paths, shop: AppPaths) -> None:
    assert [releases.next_start(paths) for _ in range(3)] == [1, 2, 3]
