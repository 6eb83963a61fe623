"""A build inside makes its environment as if nothing were there yet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from piku.deploy import build
from piku.deploy.releases import Release
from piku.extras.sandbox import hooks
from piku.paths import AppPaths

RELEASE = Release(
    number=1, kind="push", description="", commit="0" * 40, by="", created=0.0, environment="key"
)


def make(shop: AppPaths, how: Callable[[Path], object]) -> None:
    """A step that does something where the environment is to be."""
    shop.envs.mkdir(parents=True, exist_ok=True)
    with hooks.new_environment(shop, RELEASE) as arguments:
        assert arguments[2] == str(shop.envs)
        how(Path(arguments[1]) / RELEASE.environment)


def test_what_a_step_made_is_kept_for_the_next(shop: AppPaths) -> None:
    make(shop, lambda place: place.mkdir())
    with hooks.new_environment(shop, RELEASE) as arguments:
        assert arguments == ()
    assert [path.name for path in shop.envs.iterdir()] == ["key"]


def test_a_link_is_not_taken_for_it(shop: AppPaths) -> None:
    make(shop, lambda place: place.symlink_to("/etc"))
    assert not [*shop.envs.iterdir()]


def test_nothing_is_left_of_a_step_that_failed_or_was_killed(shop: AppPaths) -> None:
    def failing(place: Path) -> None:
        place.mkdir()
        raise ValueError

    with pytest.raises(ValueError):
        make(shop, failing)
    assert not [*shop.envs.iterdir()]
    killed = hooks.new_environment(shop, RELEASE)
    killed.__enter__()
    assert [*shop.envs.iterdir()]
    build.remove_half_built(shop)
    assert not [*shop.envs.iterdir()]
