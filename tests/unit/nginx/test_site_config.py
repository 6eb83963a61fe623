"""What nginx is to know of a release: paths looked at on disk, and refused when they lead astray."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from piku.deploy import releases, site_config
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Live
from piku.errors import PikuError
from piku.nginx.site import Site
from piku.paths import AppName, AppPaths, Paths

MakeDeployment = Callable[..., Deployment]
FILES = {"Procfile": "worker: x\n", "public/page.html": "x", "x.conf": "# x\n"}


@pytest.fixture
def of(shop: AppPaths, deployment: MakeDeployment) -> Callable[..., Site]:
    """A function: the site that a release with these settings gets; `links` are made in its checkout."""

    def made(links: Mapping[str, Path | str] | None = None, /, **values: str) -> Site:
        found = deployment(shop, FILES, NGINX_SERVER_NAME="shop.example", **values)
        for name, target in (links or {}).items():
            if not (found.checkout / name).is_symlink():
                (found.checkout / name).symlink_to(target)
        made = site_config.of(found, ())
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
        (f"{shop.live_link}/kept", f"{shop.before_link}/kept", False),
        (f"{shop.live_link}/again", f"{shop.before_link}/again", False),
        (f"{shop.live_link}/public/page.html", "", True),
        (f"{shop.data}/new/deep", "", False),
    ]
    assert (shop.data / "new" / "deep").is_dir(), "made, for the app is about to write there"


def test_the_own_folder_of_the_live_release_means_the_new_one(
    shop: AppPaths, of: Callable[..., Site]
) -> None:
    elsewhere = shop.releases / "another"
    elsewhere.mkdir(parents=True)
    shop.live_link.symlink_to(elsewhere)
    [found] = of(NGINX_STATIC_PATHS=f"/a:{shop.live_link}/public").static
    assert (found.path, found.before) == (f"{shop.live_link}/public", f"{shop.before_link}/public")
    found_site = of(NGINX_STATIC_PATHS=f"/a:{shop.live_link}")
    assert found_site.hidden == ("/a/ENV", "/a/Procfile")


@pytest.mark.parametrize("folder", Paths.FOLDERS)
def test_no_folder_of_pikus_own_is_shown(
    paths: Paths, of: Callable[..., Site], folder: str
) -> None:
    refused(of, "leads outside an app's folder", NGINX_STATIC_PATHS=f"/x:{paths.root}/{folder}")
    if folder not in ("apps", "data", "cache"):
        (paths.root / folder / "shop").mkdir(parents=True, exist_ok=True)
        refused(
            of, "leads outside an app's folder", NGINX_STATIC_PATHS=f"/x:{paths.root}/{folder}/shop"
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
    refused(of, "leads nowhere", links, NGINX_STATIC_PATHS="/x:loop")
    refused(of, "no file or folder 'gone'", links, NGINX_STATIC_PATHS="/x:gone")
    refused(of, "leads outside an app's folder", NGINX_STATIC_PATHS=f"/x:{shop.data}/out")
    refused(of, "leads outside", links, NGINX_ERROR_PAGES="404:passwd")
    refused(of, "leads outside", links, NGINX_INCLUDE_FILE="passwd")
    refused(of, "leads nowhere", links, NGINX_INCLUDE_FILE="loop")


def test_a_folder_that_cannot_be_made(shop: AppPaths, of: Callable[..., Site]) -> None:
    shop.data.mkdir(parents=True)
    (shop.data / "file").touch()
    refused(of, "cannot be made: Not a directory", NGINX_STATIC_PATHS=f"/x:{shop.data}/file/below")
    values = {"NGINX_CACHE_PATH": f"{shop.data}/file/below", "NGINX_CACHE_PREFIXES": "/"}
    refused(of, "cannot be made", **values)


def test_error_pages_are_files_of_the_app(shop: AppPaths, of: Callable[..., Site]) -> None:
    assert of(NGINX_ERROR_PAGES="404:public/page.html").error_pages == (
        (404, f"{shop.live_link}/public/page.html"),
    )
    refused(of, "public is not a file", NGINX_ERROR_PAGES="404:public")
    refused(of, "no file or folder 'none'", NGINX_ERROR_PAGES="404:none")
    refused(of, "is outside", NGINX_ERROR_PAGES="404:/etc/passwd")


# --- kept answers --------------------------------------------------------------------------------


def cached(of: Callable[..., Site], path: str) -> str:
    found = of(NGINX_CACHE_PATH=path, NGINX_CACHE_PREFIXES="/").cache
    assert found is not None
    return found.path


def test_where_answers_are_kept(shop: AppPaths, of: Callable[..., Site]) -> None:
    assert cached(of, "") == f"{shop.cache}/nginx"
    assert cached(of, "a/b") == f"{shop.cache}/a/b/nginx"
    assert cached(of, f"{shop.data}") == f"{shop.data}/nginx"
    assert (shop.cache / "a" / "b").is_dir()
    assert not (shop.cache / "a" / "b" / "nginx").exists(), "nginx makes it"


def test_they_are_kept_nowhere_else(paths: Paths, shop: AppPaths, of: Callable[..., Site]) -> None:
    other = paths.app(AppName("shopping"))
    for folder in (other.data, other.cache, shop.cache, shop.data):
        folder.mkdir(parents=True)
    (shop.cache / "out").symlink_to(other.data)
    for path in (
        f"{other.data}/x", f"{other.cache}/x", "/srv/x", "out/x", "/",
        f"{shop.live_link}/x", f"{shop.envs}/x", f"{shop.logs}/x", f"{paths.nginx}/x",
    ):  # fmt: skip
        refused(of, "not in a folder", NGINX_CACHE_PATH=path, NGINX_CACHE_PREFIXES="/")


# --- who is let in -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "clients"),
    [
        ("192.0.2.7 50000 22", ("192.0.2.7",)), ("2001:DB8::7 50000 22", ("2001:db8::7",)),
        ("fe80::1%eth0 50000 22", ("fe80::1",)), ("", ("198.51.100.1",)), ("here; allow all", ("198.51.100.1",)),
    ],
)  # fmt: skip
def test_who_deploys_is_let_in_beside_cloudflare(
    shop: AppPaths,
    of: Callable[..., Site],
    monkeypatch: pytest.MonkeyPatch,
    said: str,
    clients: tuple[str, ...],
) -> None:
    before = Site(app="shop", names=("shop.example",), clients=("198.51.100.1",))
    releases.commit(shop, Live(start=1, release=1, checkout="c", site=before))
    monkeypatch.setenv("SSH_CLIENT", said)
    assert of(NGINX_CLOUDFLARE_ACL="true").clients == clients
    assert of().clients == ()


def test_passwords_are_in_a_file_that_nobody_else_reads(of: Callable[..., Site]) -> None:
    hashed = "$6$abcdefgh$0123456789012345"
    found = Path(of(NGINX_BASIC_AUTH=f"ann:{hashed}, bob@x:{hashed}").passwords)
    assert found.read_text() == f"ann:{hashed}\nbob@x:{hashed}\n"
    assert found.stat().st_mode & 0o777 == 0o600
    assert of().passwords == ""


def test_a_size_is_said_only_when_it_was_asked_for(of: Callable[..., Site]) -> None:
    assert of().max_body == of(NGINX_MAX_BODY_SIZE="").max_body == ""
    assert of(NGINX_MAX_BODY_SIZE="2G").max_body.lower() == "2g"


def test_redirects_need_somewhere_to_go(shop: AppPaths, deployment: MakeDeployment) -> None:
    for names in ("", "*.shop.example"):
        with pytest.raises(PikuError, match="NGINX_REDIRECT_FROM needs a host name"):
            site_config.of(
                deployment(shop, FILES, NGINX_SERVER_NAME=names, NGINX_REDIRECT_FROM="old.example"),
                (),
            )
    with pytest.raises(PikuError, match="is in NGINX_SERVER_NAME and in NGINX_REDIRECT_FROM"):
        site_config.of(
            deployment(shop, FILES, NGINX_SERVER_NAME="a.example", NGINX_REDIRECT_FROM="A.Example"),
            (),
        )


def test_two_settings_for_one_address_are_refused(of: Callable[..., Site]) -> None:
    with pytest.raises(PikuError, match="/ENV is a file that nobody may see"):
        of(NGINX_STATIC_PATHS="/:.,/ENV:public")
