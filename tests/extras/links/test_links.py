"""Links that nginx follows: found in a release's folder, and answered by a real nginx."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from piku.extras.links import links
from piku.nginx.site import Site, SiteState, Static
from piku.paths import AppName, AppPaths, Paths
from tests.e2e.support import App, web
from tests.unit.conftest import commit, deployment, paths, shop
from tests.unit.nginx.nginx_opinion import installed, newer
from tests.unit.nginx.test_nginx_served import TRICKS, Server, leaks, running, sites
from tests.unit.nginx.test_site_config import of

__all__ = ["commit", "deployment", "of", "paths", "shop"]
FOLLOWED = ("kept/photo", "photo", "docs/index.html")


def test_which_links_are_followed(paths: Paths, shop: AppPaths, of: Callable[..., Site]) -> None:
    (shop.data / "uploads").mkdir(parents=True)
    (shop.data / "uploads" / "out").symlink_to(paths.root)
    found: dict[str, Path | str] = {
        "public/kept": shop.data / "uploads", "public/x": "../x.conf", "public/envs": paths.root / "envs",
        "public/passwd": "/etc/passwd", "public/up": "..", "public/self": ".", "public/git": "../.git",
        "public/env": "../ENV", "public/gone": "nothing", "public/loop": "loop", "public/a$b": "../x.conf",
    }  # fmt: skip
    [code] = of(found, NGINX_STATIC_PATHS="/:public").static
    assert code.links == ("kept", "x")
    [data] = of(NGINX_STATIC_PATHS=f"/:{shop.data}").static
    assert data.links == ()


def linked(folder: Path, app: str) -> Iterator[tuple[Site, SiteState]]:
    """The sites of the other tests, whose links have been found."""
    made = Paths(root=folder, home=folder)
    for site, state in sites(folder, app):
        static = tuple(
            one
            if one.base.endswith("/data")
            else replace(one, links=("about.html", "docs/index.html", "kept", "photo"))
            for one in site.static
        )
        new = replace(site, static=static)
        added = links.additions(made, made.app(AppName(site.app)), new)
        yield new, replace(state, additions=(*state.additions, *((added,) if added else ())))


@pytest.fixture(scope="module", params=[installed, newer], ids=["installed", "newer"])
def nginx(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(request.param(), linked) as found:
        yield found


@pytest.mark.parametrize(
    ("host", "begin"), [("files", "/files/"), ("front", "/"), ("data", "/files/"), ("spa", "/")]
)
def test_what_is_not_shown(nginx: Server, host: str, begin: str) -> None:
    tricks = (trick for trick in TRICKS if trick not in FOLLOWED)
    assert [trick for trick in tricks if leaks(nginx, host, f"{begin}{trick}")] == []


def test_what_is_followed(nginx: Server) -> None:
    for host, begin in (("files", "/files"), ("front", ""), ("data", "/files"), ("spa", "")):
        for path in ("kept/photo", "photo"):
            assert nginx.ask(f"{host}.test", f"{begin}/{path}").body == b"a photo", (host, path)
        for path in ("page.html", "docs/", "docs/index.html", "about.html"):
            assert nginx.ask(f"{host}.test", f"{begin}/{path}").body == b"page.html", (host, path)
    for host in ("files", "data"):
        assert nginx.ask(f"{host}.test", "/files/about").body == b"page.html"


def test_a_site_without_links_gets_nothing(paths: Paths, shop: AppPaths) -> None:
    for found in (None, ()):
        site = Site(app="shop", names=("a",), static=(Static(prefix="/", path="/a", links=found),))
        assert links.additions(paths, shop, site) is None


def test_uploads_of_an_app_with_files_in_front(new_app: Callable[..., App]) -> None:
    """PIKU_PERSIST makes a link in the folder that is served; links that an upload brings lead nowhere."""
    env = "PIKU_PERSIST=public/uploads\n"
    app = new_app(
        "album",
        {**web("album", env=env, procfile="static: public\n"), "public/docs/index.html": "docs"},
        push=False,
    )
    (app.repository / "public" / "latest").symlink_to("docs")
    (app.repository / "public" / "all").symlink_to(app.server.root)
    app.commit("With links")
    app.deployed()
    uploads = app.data / "public" / "uploads"
    (uploads / "photo.txt").write_text("a photo")
    (uploads / "evil.txt").symlink_to(app.server.root / "apps" / "album" / "ENV")
    (uploads / "out").symlink_to(app.server.root)
    assert app.body("/uploads/photo.txt") == "a photo"
    assert app.body("/latest/index.html") == app.body("/latest/") == "docs"
    for path in (
        "/uploads/", "/uploads/none", "/uploads/evil.txt", "/uploads/out/apps/album/server.py", "/all/apps/album/server.py",
    ):  # fmt: skip
        assert app.body(path) == "one", "the app is asked"
    assert app.server.get(app.host, "/uploads/", method="POST", body=b"x")[0] == 200
