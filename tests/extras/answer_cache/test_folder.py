"""Where answers are kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from piku.errors import PikuError
from piku.extras.answer_cache import directives
from piku.nginx.site import Site
from piku.paths import AppName, AppPaths, Paths
from tests.unit.conftest import paths, shop

__all__ = ["paths", "shop"]


@pytest.fixture
def rendered(paths: Paths, shop: AppPaths) -> Callable[[str], None]:
    """A function that has nginx keep answers in NGINX_CACHE_PATH."""

    def render(path: str) -> None:
        values = {"NGINX_CACHE_PATH": path, "NGINX_CACHE_PREFIXES": "/"}
        upstreams = ("127.0.0.1:20000",)
        site = Site(
            app="shop", names=("x.test",), values=values, serving="web", upstreams=upstreams
        )
        directives.additions(paths, shop, site)

    return render


def test_they_are_kept_in_a_folder_of_the_app(
    shop: AppPaths, rendered: Callable[[str], None]
) -> None:
    rendered("a/b")
    assert (shop.cache / "a" / "b").is_dir()
    assert not (shop.cache / "a" / "b" / "nginx").exists(), "nginx makes it"
    shop.data.mkdir(parents=True, exist_ok=True)
    (shop.data / "file").touch()
    with pytest.raises(PikuError, match="cannot be made"):
        rendered(f"{shop.data}/file/below")


def test_they_are_kept_nowhere_else(
    paths: Paths, shop: AppPaths, rendered: Callable[[str], None]
) -> None:
    other = paths.app(AppName("shopping"))
    for folder in (other.data, other.cache, shop.cache, shop.data):
        folder.mkdir(parents=True, exist_ok=True)
    (shop.cache / "out").symlink_to(other.data)
    for path in (
        f"{other.data}/x", f"{other.cache}/x", "/srv/x", "out/x", "/",
        f"{shop.live_link}/x", f"{shop.envs}/x", f"{shop.logs}/x", f"{paths.nginx}/x",
    ):  # fmt: skip
        with pytest.raises(PikuError, match=r"NGINX_CACHE_PATH=.* is not in a folder"):
            rendered(path)
