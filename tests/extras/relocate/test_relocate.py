"""An app under another name, and twice."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from sandbox import Sandbox, free_ports

from piku import files
from piku.extras.relocate.unfinished import Rename, record_file, unfinished
from piku.paths import AppPaths, Paths
from tests.e2e.support import App, own_certificate, web
from tests.faults.killed import KILL, at_moment

ONE = Rename(old="shop", new="store", commit="c", stopped=False)


def under(app: App, name: str) -> App:
    return App(server=app.server, name=name, repository=app.repository)


def named(server: Sandbox, name: str) -> list[Path]:
    """The files that belong to an app of this name."""
    found = [
        path for folder in server.root.iterdir() if folder.is_dir() for path in folder.iterdir()
    ]
    return [path for path in found if path.name.partition("@")[0] in (name, f"{name}.conf")]


def test_renamed_with_everything(new_app: Callable[..., App], server: Sandbox) -> None:
    shop = new_app("shop", web("shop"))
    (shop.data / "x").write_text("kept")
    shop.does(
        "config:set",
        "A=1",
        f"DB=sqlite:///{shop.data}/x",
        f"FOLDER={shop.data}",
        "NGINX_SERVER_NAME=a.localhost,b.localhost",
    )
    shop.does("ps:scale", "web=2")
    certificate = own_certificate(shop, "a.localhost", "b.localhost")
    new_app("taken")
    refused = shop.says("apps:rename", "taken")
    assert refused.returncode == 1 and "the name 'taken' is taken" in refused.stderr
    assert "not an app name" in shop.says("apps:rename", "a/b").stderr
    assert "no app called 'nobody'" in server.piku("apps:rename", "nobody", "x").stderr
    assert shop.body(host="a.localhost") == "one"
    # What it wrote beside its code would go with its old checkout.
    code = (server.root / "apps" / "shop").resolve()
    (code / "uploaded.txt").write_text("precious")
    refused = shop.says("apps:rename", "store")
    assert refused.returncode == 1 and "wrote files beside its code" in refused.stderr
    assert "uploaded.txt" in refused.stderr and "PIKU_PERSIST" in refused.stderr
    said = shop.says("backup", str(server.client / "shop.tar.zst")).stderr
    assert "NOT in it: 1 files beside the code, such as uploaded.txt" in said
    (code / "uploaded.txt").unlink()

    said = shop.does("apps:rename", "store")
    assert "v1 is live" in said and "shop is store now" in said
    assert "git remote set-url piku piku@SERVER:store" in said
    store = under(shop, "store")
    assert store.body(host="a.localhost") == store.body(host="b.localhost") == "one"
    assert (store.data / "x").read_text() == "kept"
    assert (server.root / "nginx" / "store@own.pem").read_text() == certificate
    assert store.does("config:get", "DB") == f"sqlite:///{store.data}/x\n"
    assert store.does("config:get", "FOLDER") == f"{store.data}\n"
    assert sorted(store.ps()) == ["web.1", "web.2"]
    assert named(server, "shop") == []
    assert store.about(host="a.localhost")["env"]["APP"] == "store"
    store.commit(version_txt="two")
    store.deployed()
    assert store.body(host="a.localhost") == "two"


def test_killed_half_way_it_is_finished_by_housekeeping(
    new_app: Callable[..., App], server: Sandbox
) -> None:
    app = new_app("alpha")
    (app.data / "x").write_text("kept")
    at_moment(app, "0", "true", "apps:rename", "alpha", "beta")
    log = (server.base / "alpha.moments").read_text().splitlines()
    beta = under(app, "beta")
    assert beta.body(host="alpha.localhost") == "one"
    moved = next(
        n for n, line in enumerate(log) if line.endswith(f"os.rename\t{server.root}/data/beta")
    )
    done = at_moment(beta, str(moved), KILL, "apps:rename", "beta", "alpha")
    assert done.returncode < 0
    # The platform's own housekeeping may be at it already.
    assert server.piku("housekeeping").returncode == 0
    server.wait(lambda: not list((server.root / "releases").glob("*@rename.json")), 180)
    assert app.body() == "one"
    assert (app.data / "x").read_text() == "kept"
    server.wait(lambda: named(server, "beta") == [])


def test_cloned(new_app: Callable[..., App], server: Sandbox) -> None:
    blog = new_app("blog")
    (blog.data / "x").write_text("kept")
    blog.does("config:set", "A=1")
    said = blog.does("apps:clone", "blog-2")
    assert "v1 is live" in said
    copy = under(blog, "blog-2")
    assert (copy.data / "x").read_text() == "kept"
    assert copy.does("config:get", "A") == "1\n"
    assert blog.body() == "one"  # and has its host name
    copy.does("config:set", "NGINX_SERVER_NAME=blog-2.localhost")
    assert copy.body() == "one"
    refused = blog.says("apps:clone", "blog-2")
    assert refused.returncode == 1 and "already an app called 'blog-2'" in refused.stderr
    blog.does("apps:clone", "blog-3", "--without-data")
    assert not list(under(blog, "blog-3").data.iterdir())
    (blog.data / "db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    failed = blog.says("apps:clone", "blog-4")
    assert failed.returncode == 1 and "blog was not copied" in failed.stderr
    assert named(server, "blog-4") == [] or all(
        "lock" in path.name for path in named(server, "blog-4")
    )


def test_a_copy_of_an_app_with_a_port_of_its_own(
    new_app: Callable[..., App], server: Sandbox
) -> None:
    """The original has it still, as it has its host names."""
    port = free_ports(1)[0]
    app = new_app("fixed", web("fixed", env=f"PORT={port}\nNGINX_REDIRECT_FROM=x.localhost\n"))
    app.does("apps:clone", "fixed-2")
    copy = under(app, "fixed-2")
    assert copy.ps()["web.1"]["address"] != f"127.0.0.1:{port}"
    assert app.direct(port) == "one"


def test_a_damaged_record_of_a_rename_stops_no_other_app(paths: Paths, shop: AppPaths) -> None:
    files.write(record_file(paths, "old"), "{")
    files.write(record_file(paths, "shop"), json.dumps(asdict(ONE)))
    assert list(unfinished(paths)) == [ONE]
