"""Making the server follow the live record; neither nginx nor an emperor runs here."""

from __future__ import annotations

import contextlib
import io
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from piku import files, procfs
from piku.deploy import (
    cleanup,
    going_live,
    instances,
    live_sites,
    orphans,
    reconcile,
    recovery,
    releases,
)
from piku.deploy.deployment import Deployment, Progress
from piku.deploy.releases import Draining, Live, Process
from piku.errors import PikuError
from piku.nginx import service
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths
from piku.uwsgi import emperor
from piku.uwsgi.emperor import VassalName

MakeDeployment = Callable[..., Deployment]
GoLive = Callable[[Deployment], Live]
WSGI = {"Procfile": "wsgi: app:app\nworker: work\n"}
WEB = {"Procfile": "web: serve\n"}
NAME = {"NGINX_SERVER_NAME": "shop.example"}


def listing(paths: Paths) -> set[str]:
    """All that is in the folders which follow from the live record."""
    places = (paths.available, paths.enabled, paths.nginx, paths.root / "apps")
    return {f"{place.name}/{name}" for place in places for name in os.listdir(place)}


def test_links_workers_and_nginx_follow_the_record(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    one = go_live(deployment(shop, WSGI, **NAME))
    reconcile.reconcile(paths, shop)
    assert emperor.enabled(paths, shop.name) == sorted(one.vassals(shop.name))
    assert shop.live_link.resolve() == shop.releases / one.checkout
    assert os.readlink(shop.socket(1)) == one.processes[0].address
    assert "shop.example" in shop.nginx.read_text()
    assert os.readlink(shop.logs / "wsgi.1.log") == f"wsgi.1@{one.start}.log"

    two = go_live(deployment(shop, WSGI | {"x": "2"}, **NAME))
    reconcile.reconcile(paths, shop)
    assert emperor.enabled(paths, shop.name) == sorted(two.vassals(shop.name))
    assert shop.live_link.resolve() == shop.releases / two.checkout
    assert os.readlink(shop.socket(1)) == two.processes[0].address
    assert os.listdir(shop.releases / "starts") == [str(two.start)]
    assert not (paths.available / f"{one.vassals(shop.name)[0]}.ini").exists()


def test_doing_it_again_changes_nothing(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    go_live(deployment(shop, WSGI, **NAME))
    reconcile.reconcile(paths, shop)
    before = {name: (paths.root / name).lstat().st_mtime_ns for name in listing(paths)}
    reconcile.reconcile(paths, shop)
    assert {name: (paths.root / name).lstat().st_mtime_ns for name in listing(paths)} == before
    releases.save_release(shop, replace(releases.load_release(shop, 1), outcome=releases.SUCCEEDED))
    recovery.recover(paths, shop, killed=False)
    assert {name: (paths.root / name).lstat().st_mtime_ns for name in listing(paths)} == before


def test_what_a_killed_deploy_left_is_undone(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    live = go_live(deployment(shop, WSGI, **NAME))
    reconcile.reconcile(paths, shop)
    before = listing(paths)
    second = deployment(shop, WSGI | {"x": "2"}, **NAME)
    _, left = instances.create(second)  # … and then somebody pulled the plug
    emperor.enable(paths, [process.vassal(shop.name) for process in left])
    (shop.envs / "python-half").mkdir(parents=True)
    (shop.envs / "python-half.building").touch()
    (shop.envs / "somebodys").mkdir()
    folders = ("", "apps", "nginx", "releases", "releases/shop", "releases/shop/starts")
    folders += ("repos", "repos/shop/hooks", "envs/shop", "uwsgi", "uwsgi-enabled", "logs/shop")
    killed = f".link.{2**22 + 1}.abcdefgh.tmp"  # no process has such a number
    for folder in folders:
        (paths.root / folder / killed).mkdir(parents=True)
    its_own = [shop.data / killed, shop.logs / killed.replace("link", "its-own")]
    for place in its_own:
        place.mkdir()
    recovery.recover(paths, shop, killed=True)
    assert listing(paths) == before
    assert releases.live(shop) == live
    assert os.listdir(shop.releases / "starts") == [str(live.start)]
    assert not (shop.envs / "python-half").exists()
    assert (shop.envs / "somebodys").is_dir(), "nobody knows what that is"
    assert sorted(paths.root.rglob("*.tmp")) == sorted(its_own)
    release = releases.load_release(shop, second.release.number)
    assert (release.outcome, release.reason) == (releases.FAILED, "interrupted at its start")
    recovery.recover(paths, shop, killed=False)
    assert listing(paths) == before


def test_what_a_deploy_killed_after_its_commit_left_is_finished(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    go_live(deployment(shop, WSGI, **NAME))
    reconcile.reconcile(paths, shop)
    second = deployment(shop, WSGI | {"x": "2"}, **NAME)
    new = going_live.record(second, *instances.create(second))
    emperor.enable(paths, new.vassals(shop.name))
    releases.commit(shop, new)
    recovery.recover(paths, shop, killed=True)
    assert emperor.enabled(paths, shop.name) == sorted(new.vassals(shop.name))
    assert shop.live_link.resolve() == shop.releases / new.checkout
    assert releases.load_release(shop, second.release.number).outcome == releases.SUCCEEDED


def test_a_release_that_waited_and_was_killed_after_its_commit_is_finished(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    go_live(deployment(shop, WSGI, **NAME))
    second = deployment(shop, WSGI | {"x": "2"}, **NAME)
    waiting = releases.finish(shop, second.progress.record, releases.BUILT)
    second = replace(second, progress=Progress(shop, waiting))
    recovery.recover(paths, shop, killed=True)
    assert releases.load_release(shop, 2).outcome == releases.BUILT, "it waits"
    releases.commit(shop, going_live.record(second, *instances.create(second)))
    recovery.recover(paths, shop, killed=True)
    assert releases.load_release(shop, 2).outcome == releases.SUCCEEDED


def test_before_the_platform_starts_what_a_killed_build_left_running_is_ended(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment
) -> None:
    made = deployment(shop, WSGI)
    mark = {procfs.MARK: orphans.build_mark(shop.name, made.release.number)}
    mark |= {"LOG_ROOT": str(shop.logs)}
    stale = shop.repo / "index.lock"
    stale.touch()
    with subprocess.Popen(["sleep", "20"], cwd=paths.root, env=mark) as build:
        recovery.recover_all(paths, Output(io.StringIO()))
        assert build.wait() < 0
    assert not stale.exists()
    assert releases.load_release(shop, 1).outcome == releases.FAILED


def test_why_a_deploy_failed_is_said_although_going_back_fails_too(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    go_live(deployment(shop, WEB, **NAME))
    second = deployment(shop, WEB | {"x": "2"}, **NAME, BIND_ADDRESS="192.0.2.1")
    second = replace(second, output=Output(said := io.StringIO()))
    paths.nginx.chmod(0o500)  # so that nginx cannot get the file of the live release
    try:
        with pytest.raises(PikuError, match=r"BIND_ADDRESS=192\.0\.2\.1"):
            going_live.activate(second)
    finally:
        paths.nginx.chmod(0o700)
    assert str(paths.nginx) in said.getvalue()


def test_apps_whose_names_begin_alike_stay_apart(
    paths: Paths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    apps = [paths.app(AppName(name)) for name in ("foo", "foobar", "foo.bar", "foo-bar")]
    for number, app in enumerate(apps):
        go_live(deployment(app, WSGI, NGINX_SERVER_NAME=f"h{number}.example"))
        reconcile.reconcile(paths, app)
    others = {
        name
        for name in listing(paths)
        if not name.split("/")[1].startswith(("foo@", "foo.sock", "foo.conf"))
    }
    go_live(deployment(apps[0], WEB, NGINX_SERVER_NAME="h0.example"))
    reconcile.reconcile(paths, apps[0])
    reconcile.reconcile(paths, apps[0])
    assert others <= listing(paths) | {"apps/foo"}
    assert not apps[0].socket(1).is_symlink(), "a web app has no socket"
    apps[0].live_link.unlink()
    apps[0].live_record.unlink()
    reconcile.reconcile(paths, apps[0])
    assert emperor.enabled(paths, AppName("foo")) == []
    assert len(emperor.enabled(paths)) == 6
    assert not apps[0].nginx.exists() and apps[1].nginx.exists()


def test_a_name_belongs_to_one_app(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    go_live(deployment(shop, WEB, NGINX_SERVER_NAME="a.example,b.example"))
    blog = paths.app(AppName("blog"))
    other = deployment(blog, WEB, NGINX_SERVER_NAME="c.example,b.example")
    mine = going_live.record(other, *instances.create(other)).site
    assert mine is not None
    with pytest.raises(PikuError, match=r"b\.example belongs to the app 'shop'") as error:
        live_sites.refuse_taken_names(paths, blog.name, mine.all_names)
    assert "push to 'shop'" in error.value.hint
    live_sites.refuse_taken_names(paths, shop.name, mine.all_names)
    live_sites.refuse_taken_names(paths, blog.name, ("*.example", "bb.example"))


def test_a_site_that_nginx_no_longer_takes_keeps_nobody_else_down(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    blog = paths.app(AppName("blog"))
    live = go_live(
        deployment(shop, WEB | {"x.conf": "gzip on;\n"}, NGINX_INCLUDE_FILE="x.conf", **NAME)
    )
    go_live(deployment(blog, WEB, NGINX_SERVER_NAME="blog.example"))
    for app in (shop, blog):
        reconcile.reconcile(paths, app)
    assert live.site is not None
    (shop.root / live.site.include).write_text("gone_with_an_upgrade on;\n")
    said = io.StringIO()
    live_sites.install_all(paths, Output(said).warn)
    assert "shop is NOT served" in said.getvalue() and "blog is" not in said.getvalue()
    assert "shop.example" in shop.refused.read_text()
    assert blog.nginx.exists() and not shop.nginx.exists()
    # Deploys of the others are checked without it, and do not bring it back.
    assert set(live_sites.load(paths)[0]) == {"blog"}
    service.check(paths, live_sites.states(paths)[0])
    reconcile.reconcile(paths, blog)
    assert not shop.nginx.exists()
    (shop.root / live.site.include).write_text("gzip on;\n")
    live_sites.install_all(paths, Output(said).warn)
    assert shop.nginx.exists() and not shop.refused.exists()


def test_of_two_sites_that_clash_the_newer_is_set_aside(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    """nginx takes each of them alone."""
    others = [paths.app(AppName(name)) for name in ("blog", "wiki")]
    for size, app in enumerate((shop, *others), 1):
        tree, host = WEB | {"x.conf": "gzip on;\n"}, f"{app.name}.example"
        made = deployment(app, tree, NGINX_SERVER_NAME=host, NGINX_INCLUDE_FILE="x.conf")
        site = go_live(made).site
        assert site is not None
        zone = "a" if app.name != "wiki" else "b"
        (app.root / site.include).write_text(f"ssl_session_cache shared:{zone}:{size}m;\n")
    said = io.StringIO()
    live_sites.install_all(paths, Output(said).warn)
    assert re.findall(r"(\w+) is NOT served", said.getvalue()) == ["blog"]
    assert "shared memory zone" in said.getvalue()
    assert set(live_sites.load(paths)[0]) == {"shop", "wiki"}
    service.check(paths, live_sites.states(paths)[0])


def test_a_socket_without_its_vassal_is_let_go(paths: Paths, shop: AppPaths) -> None:
    # A command was killed after the first of the two links.
    kept = ["shop@2.wsgi.1.ini", "shop@2.wsgi.1.ini.demand", "shopping@1.wsgi.1.ini.demand"]
    for name in ("shop@1.wsgi.1.ini.demand", *kept):
        (paths.enabled / name).symlink_to(paths.available / name)
    cleanup.clean(paths, shop, None)
    assert sorted(place.name for place in paths.enabled.iterdir()) == kept


def test_a_missing_record_is_an_error_not_an_app_that_was_never_live(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    blog = paths.app(AppName("blog"))
    for app, name in ((shop, "shop.example"), (blog, "blog.example")):
        go_live(deployment(app, WSGI, NGINX_SERVER_NAME=name))
        reconcile.reconcile(paths, app)
    shop.live_record.unlink()
    before = listing(paths)
    with pytest.raises(PikuError, match=r"live\.json is missing, though shop was live"):
        reconcile.reconcile(paths, shop)
    reconcile.reconcile(paths, blog)  # the others work, and the site of this one stays
    assert listing(paths) == before


@contextlib.contextmanager
def connected(
    paths: Paths, app: AppPaths, until: float
) -> Iterator[tuple[VassalName, socket.socket]]:
    """An old `web` process of a live app, with a client that stays, such as a WebSocket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        old = Process(kind="web", instance=1, start=1, address=address)
        draining = (Draining(process=old, until=until),)
        releases.commit(app, Live(start=2, release=2, checkout="v2", draining=draining))
        files.write(app.start(2) / "LIVE_ENV", "")
        (app.repo).mkdir(parents=True)
        recovery.make_folders(app)
        name = old.vassal(app.name)
        files.write(paths.available / f"{name}.ini", "")
        emperor.enable(paths, [name])
        with socket.create_connection(listener.getsockname()) as client:
            yield name, client


def test_a_deploy_that_failed_does_not_wait_for_open_requests(paths: Paths, shop: AppPaths) -> None:
    with connected(paths, shop, time.time() + 60) as (old, _):
        begun = time.monotonic()
        recovery.roll_back(paths, shop)
        assert time.monotonic() - begun < 30
        assert emperor.enabled(paths, shop.name) == [old]


def test_open_requests_of_one_app_hold_up_no_other(paths: Paths, shop: AppPaths) -> None:
    wiki = paths.app(AppName("wiki"))
    with (
        connected(paths, shop, time.time() + 60) as (first, client),
        connected(paths, wiki, time.time() + 60) as (second, other),
        ThreadPoolExecutor(1) as pool,
    ):
        ended = pool.submit(reconcile.finish_draining, paths)
        other.close()
        deadline = time.monotonic() + 30
        for _ in files.poll(deadline):
            if second not in emperor.enabled(paths):
                break
        assert emperor.enabled(paths) == [first]
        client.close()
        ended.result(30)
        assert emperor.enabled(paths) == []


@pytest.mark.parametrize(
    ("left", "busy"), [(30, True), (-1, False), (30 + 86400, False), (30 - 86400, False)]
)
def test_a_clock_that_jumps_a_day_keeps_no_old_process(
    paths: Paths, shop: AppPaths, left: float, busy: bool
) -> None:
    """Somebody is connected, and may be for days: a WebSocket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        process = Process(kind="web", instance=1, start=1, address=address)
        with socket.create_connection(listener.getsockname()):
            one = Draining(process=process, until=time.time() + left)
            assert reconcile.is_busy(paths, shop, one) == busy
