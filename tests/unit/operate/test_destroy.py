"""Taking an app away, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable

from piku.deploy import reconcile
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Live
from piku.operate import destroy
from piku.output import Output
from piku.paths import AppName, AppPaths, Paths
from piku.tls import certificate
from piku.uwsgi import emperor

MakeDeployment = Callable[..., Deployment]
GoLive = Callable[[Deployment], Live]


def test_data_and_cache_stay_and_like_named_apps_are_not_touched(
    paths: Paths, shop: AppPaths, deployment: MakeDeployment, go_live: GoLive
) -> None:
    other = paths.app(AppName("shop.uk"))
    third = paths.app(AppName("shopping"))
    for number, app in enumerate((shop, other, third)):
        files = {"Procfile": "wsgi: a:b\n"}
        go_live(deployment(app, files, NGINX_SERVER_NAME=f"h{number}.example"))
        reconcile.reconcile(paths, app)
        app.data.mkdir(exist_ok=True)
        (app.data / "precious").write_text("x")
    certificate.place(shop, certificate.OWN).write_text("put here by hand\n")
    before = {
        path
        for path in paths.root.rglob("*")
        if f"{path}/".count("/shop.uk") or "/shopping" in f"{path}/"
    }
    stream = io.StringIO()
    destroy.destroy(paths, shop, Output(stream))
    assert all(path.is_symlink() or path.exists() for path in before)
    assert paths.app_names() == ["shop.uk", "shopping"]
    assert [name.app for name in emperor.enabled(paths)] == ["shop.uk", "shopping"]
    left = {
        str(p.relative_to(paths.root))
        for p in paths.root.rglob("*")
        if p not in before and "/shop" in f"{p}/"
    }
    assert left == {"data/shop", "data/shop/precious", "nginx/shop@own.pem"}
    assert (shop.data / "precious").read_text() == "x"
    assert f"Kept: {shop.data}" in stream.getvalue()
    assert not shop.cache.exists()
    destroy.destroy(paths, shop, Output(io.StringIO()))  # an interrupted one is simply run again
