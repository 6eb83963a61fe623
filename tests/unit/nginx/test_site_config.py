"""What nginx is to know of a release: paths looked at on disk, and refused when they lead astray."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from piku.deploy import going_live, releases
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Live
from piku.errors import PikuError
from piku.nginx.site import Site
from piku.paths import AppName, AppPaths, Paths

MakeDeployment = Callable[..., Deployment]
FILES = {
    "Procfile": "worker: x\n", "public/page.html": "x", "x.conf": "# x\n", "ENV": "A=1\n", "public/.env": "A=1\n",
}  # fmt: skip


@pytest.fixture
def of(shop: AppPaths, deployment: MakeDeployment) -> Callable[..., Site]:
    """A function: the site that a release with these settings gets; `links` are made in its checkout."""

    def made(
        links: Mapping[str, Path | str] | None = None, live: Live | None = None, /, **values: str
    ) -> Site:
        found = deployment(shop, FILES, NGINX_SERVER_NAME="shop.example", **values)
        for name, target in (links or {}).items():
            if not (found.checkout / name).is_symlink():
                (found.checkout / name).symlink_to(target)
        made = going_live.site(found, (), live)
        assert made is not None
        return made

    return made


def refused(
    of: Callable[..., Site], message: str, *links: Mapping[str, Path | str], **values: str
) -> PikuError:
    with pytest.raises(PikuError, match=message) as error:
        of(*links, **values)
    assert next(iter(values)) in error.value.message
    return error.value


# --- files that are shown ------------------------------------------------------------------------


def test_what_may_be_shown(paths: Paths, shop: AppPaths, of: Callable[..., Site]) -> None:
    (shop.data / "kept").mkdir(parents=True)
    persisted = {"kept": shop.data / "kept", "again": "public"}
    found = of(
        persisted,
        NGINX_STATIC_PATHS=f"/a:kept,/b:again,/c:public/page.html,/d:{shop.data}/new/deep",
    )
    assert [(one.path, one.before, one.file) for one in found.static] == [
        (f"{shop.data}/kept", "", False),
        (f"{shop.live_link}/public", f"{shop.previous_link}/public", False),
        (f"{shop.live_link}/public/page.html", "", True),
        (f"{shop.data}/new/deep", "", False),
    ]


def test_the_own_folder_of_the_live_release_means_the_new_one(
    shop: AppPaths, of: Callable[..., Site]
) -> None:
    elsewhere = shop.releases / "another"
    elsewhere.mkdir(parents=True)
    shop.live_link.symlink_to(elsewhere)
    releases.commit(shop, Live(release=1, checkout="another", start=1))
    [found] = of(NGINX_STATIC_PATHS=f"/a:{shop.live_link}/public").static
    assert (found.path, found.before) == (
        f"{shop.live_link}/public",
        f"{shop.previous_link}/public",
    )


@pytest.mark.parametrize("folder", Paths.FOLDERS)
def test_no_folder_of_pikus_own_is_shown(
    paths: Paths, of: Callable[..., Site], folder: str
) -> None:
    refused(of, "leads outside the app's folder", NGINX_STATIC_PATHS=f"/x:{paths.root}/{folder}")
    if folder not in ("apps", "data", "cache"):
        (paths.root / folder / "shop").mkdir(parents=True, exist_ok=True)
        refused(
            of,
            "leads outside the app's folder",
            NGINX_STATIC_PATHS=f"/x:{paths.root}/{folder}/shop",
        )


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/etc/passwd", "ROOT", "HOME", "ROOT/data/../envs", "ROOT/ENV"]
)
def test_nothing_outside_is_shown(paths: Paths, of: Callable[..., Site], path: str) -> None:
    path = path.replace("ROOT", str(paths.root)).replace("HOME", str(paths.home))
    refused(of, "outside", NGINX_STATIC_PATHS=f"/x:{path}")


def test_links_that_lead_out_are_refused(
    paths: Paths, shop: AppPaths, of: Callable[..., Site]
) -> None:
    shop.data.mkdir(parents=True, exist_ok=True)
    (shop.data / "out").symlink_to(paths.root / "envs")
    links: dict[str, Path | str] = {
        "up": "..", "passwd": "/etc/passwd", "envs": paths.root / "envs", "through": shop.data / "out",
        "loop": "loop", "gone": "nothing", "git": shop.repo,
    }  # fmt: skip
    for name in ("up", "passwd", "envs", "through", "git"):
        refused(of, "leads outside", links, NGINX_STATIC_PATHS=f"/x:{name}")
    refused(of, "no file or folder 'loop'", links, NGINX_STATIC_PATHS="/x:loop")
    refused(of, "no file or folder 'gone'", links, NGINX_STATIC_PATHS="/x:gone")
    refused(of, "leads outside the app's folder", NGINX_STATIC_PATHS=f"/x:{shop.data}/out")
    refused(of, "no such file", links, NGINX_INCLUDE_FILE="passwd")
    refused(of, "no such file", links, NGINX_INCLUDE_FILE="loop")


def test_what_belongs_to_another_app_is_not_shown(
    paths: Paths, shop: AppPaths, of: Callable[..., Site]
) -> None:
    other = paths.app(AppName("shopping"))
    for place in (other.data, other.cache, other.envs, other.releases / "v1"):
        place.mkdir(parents=True, exist_ok=True)
    other.live_link.symlink_to(other.releases / "v1")
    for place in (other.data, other.cache, other.live_link, other.envs, other.releases / "v1"):
        refused(of, "leads outside", NGINX_STATIC_PATHS=f"/x:{place}")
        refused(
            of,
            "leads outside",
            {f"to-{place.parent.name}": place},
            NGINX_STATIC_PATHS=f"/x:to-{place.parent.name}",
        )


def test_files_with_secrets_are_not_shown(shop: AppPaths, of: Callable[..., Site]) -> None:
    links: dict[str, Path | str] = {
        "env": "ENV",
        "git": ".git",
        "config": ".git/config",
        "dot": "public/.env",
    }
    (shop.data / ".ssh").mkdir(parents=True)
    for path in (
        "ENV",
        "Procfile",
        "public/.env",
        f"{shop.live_link}/ENV",
        f"{shop.live_link}/.git",
        *links,
        f"{shop.data}/.ssh",
    ):
        refused(of, "is never served", links, NGINX_STATIC_PATHS=f"/x:{path}")
    assert of(links, NGINX_STATIC_PATHS="/x:git", NGINX_ALLOW_GIT_FOLDERS="true").static


def test_in_which_folder_data_is(shop: AppPaths, of: Callable[..., Site]) -> None:
    [found] = of(NGINX_STATIC_PATHS=f"/:{shop.data}/uploads").static
    assert (found.links, found.base) == ((), str(shop.data))


# --- who is let in -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "clients"),
    [
        ("192.0.2.7 50000 22", ("192.0.2.7",)), ("2001:DB8::7 50000 22", ("2001:db8::7",)),
        ("fe80::1%eth0 50000 22", ("fe80::1",)), ("", ("198.51.100.1",)), ("here; allow all", ("198.51.100.1",)),
    ],
)  # fmt: skip
def test_who_deploys_is_let_in_beside_cloudflare(
    of: Callable[..., Site],
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    clients: tuple[str, ...],
) -> None:
    before = Site(app="shop", names=("shop.example",), clients=("198.51.100.1",))
    live = Live(start=1, release=1, checkout="c", site=before)
    monkeypatch.setenv("SSH_CLIENT", said)
    assert of({}, live, NGINX_CLOUDFLARE_ACL="true").clients == clients
    assert of().clients == ()


def test_redirects_need_somewhere_to_go(shop: AppPaths, deployment: MakeDeployment) -> None:
    for names in ("", "*.shop.example"):
        made = deployment(shop, FILES, NGINX_SERVER_NAME=names, NGINX_REDIRECT_FROM="old.example")
        with pytest.raises(PikuError, match="NGINX_REDIRECT_FROM needs a host name"):
            going_live.site(made, ())


def test_a_name_that_is_served_is_not_redirected(of: Callable[..., Site]) -> None:
    found = of(NGINX_REDIRECT_FROM="Shop.Example,old.example")
    assert found.redirect_from == ("old.example",)


def test_a_setting_wins_over_the_procfile(shop: AppPaths, deployment: MakeDeployment) -> None:
    files = {**FILES, "Procfile": "static: public\n", "other/x": "x"}
    own = {"NGINX_SERVER_NAME": "a.example", "NGINX_STATIC_PATHS": "/:other"}
    for values, folder in ((own, "other"), ({"NGINX_SERVER_NAME": "a.example"}, "public")):
        made = going_live.site(deployment(shop, files, **values), ())
        assert made is not None
        assert [(one.prefix, one.path) for one in made.static] == [
            ("/", f"{shop.live_link}/{folder}")
        ]
