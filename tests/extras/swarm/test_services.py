"""What is asked of the Docker engine for a process, and what is refused before it is asked."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from piku import files
from piku.deploy import instances, releases
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Live, Process
from piku.errors import PikuError
from piku.extras.swarm import login, one_off, service, site, sweep
from piku.extras.swarm.settings import PLACEMENT, REGISTRY, VOLUME
from piku.nginx.directives import render
from piku.nginx.site import Site
from piku.paths import AppPaths, Paths
from tests.unit.conftest import commit, deployment

__all__ = ["commit", "deployment"]

MakeDeployment = Callable[..., Deployment]
WEB = {"Procfile": "web: serve\n"}
CLUSTER = {
    "NGINX_SERVER_NAME": "shop.example",
    "PIKU_ENGINE": "swarm",
    "PIKU_REGISTRY": "10.0.0.1:5000",
    "PIKU_DOCKER_HOST": "unix:///nowhere",
}


@pytest.mark.parametrize(
    ("app", "kind", "name"),
    [
        ("shop", "web", "shop-v7-web-123"),
        ("my.shop", "web", "my-shop-[0-9a-f]{6}-v7-web-123"),
        ("a" * 60, "worker_of-mails", "a{33}-[0-9a-f]{6}-v7-worker-of-mails-123"),
    ],
)
def test_names_that_docker_takes(app: str, kind: str, name: str) -> None:
    found = service.service_name(app, 7, Process(kind=kind, instance=1, start=123))
    assert re.fullmatch(name, found)
    assert len(found) <= 63


def test_settings_are_in_a_secret_and_not_in_the_service(
    shop: AppPaths, deployment: MakeDeployment
) -> None:
    made = deployment(shop, WEB, PASSWORD="it's \nsecret", **CLUSTER)
    process = Process(kind="web", instance=1, start=1, port=20001, elsewhere=True)
    text = json.dumps(service.spec(made, process, "registry/shop@sha256:1"))
    assert "secret" not in text
    secret = service.secret(made.values, made.release, process.port)
    assert "export PASSWORD='it'\"'\"'s \nsecret'\n" in secret
    assert "export PORT=8000\n" in secret


def test_a_command_runs_in_the_image_with_no_setting_on_its_command_line(
    shop: AppPaths, deployment: MakeDeployment
) -> None:
    volume = "local type=nfs o=addr=10.0.0.5,rw device=:/export"
    made = deployment(shop, WEB, PASSWORD="hunter2", PIKU_VOLUME=volume, **CLUSTER)
    image = f"10.0.0.1:5000/{shop.name.label}@sha256:1"
    files.write(service.marker(shop) / f"v{made.release.number}", f"{image}\n")
    argv = one_off.argv(shop, made.release, made.revision, ["bash", "-c", "rake"])
    assert argv is not None
    assert "hunter2" not in " ".join(argv)
    assert argv[-5:] == [image, "--", "bash", "-c", "rake"]
    assert (
        '"volume-opt=o=addr=10.0.0.5,rw"'
        in argv[argv.index("--mount") + 1].split(",volume-driver=local,")[1]
    )
    [mounted] = (word.split(":")[0] for word in argv if word.endswith(":ro"))
    assert "export PASSWORD=hunter2\n" in Path(mounted).read_text()
    assert Path(mounted).stat().st_mode & 0o077 == 0
    here = deployment(shop, WEB, **{**CLUSTER, "PIKU_ENGINE": ""})
    assert one_off.argv(shop, here.release, here.revision, ["true"]) is None


def test_an_engine_that_is_not_up_yet_keeps_no_app_from_starting(
    paths: Paths, shop: AppPaths
) -> None:
    paths.server_env.write_text("PIKU_DOCKER_HOST=unix:///nowhere\n")
    service.marker(shop).mkdir(parents=True)
    sweep.reconciled(paths, shop, None)
    assert service.marker(shop).is_dir()
    with pytest.raises(PikuError, match="does not answer"):
        sweep.destroyed(paths, shop)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"NGINX_SERVER_NAME": ""}, "needs a host name"),
        ({"PORT": "5000"}, "cannot keep PORT"),
        ({"UWSGI_IDLE": "60"}, "cannot keep UWSGI_IDLE"),
        ({"PIKU_REGISTRY": ""}, "needs a registry"),
        ({}, "does not answer"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused(
    shop: AppPaths, deployment: MakeDeployment, values: dict[str, str], words: str
) -> None:
    made = deployment(shop, WEB, **{**CLUSTER, **values})
    with pytest.raises(PikuError, match=words):
        service.check(made)


def test_files_that_other_nodes_would_not_see_are_refused(
    shop: AppPaths, deployment: MakeDeployment
) -> None:
    made = deployment(shop, WEB, **CLUSTER)
    shop.data.mkdir(parents=True, exist_ok=True)
    (shop.data / "upload").touch()
    with pytest.raises(PikuError, match="which other nodes do not see"):
        service.check(made)


def test_an_app_of_this_server_asks_no_engine(shop: AppPaths, deployment: MakeDeployment) -> None:
    made = deployment(shop, WEB, NGINX_SERVER_NAME="shop.example")
    assert service.check(made) == []
    _, processes = instances.create(made)
    assert not any(process.elsewhere for process in processes)


def test_nginx_asks_where_the_processes_are_now(paths: Paths, shop: AppPaths) -> None:
    served = Site(
        app="shop",
        names=("shop.example",),
        values=CLUSTER,
        serving="web",
        upstreams=("127.0.0.1:1",),
    )
    first, second = (
        Process(kind="web", instance=i, start=1, port=i, address=f"127.0.0.1:{i}", elsewhere=True)
        for i in (1, 2)
    )
    live = Live(release=1, checkout="v1", start=1, processes=(first, second))
    releases.commit(shop, live)
    files.write(first.place(shop), "10.0.0.2:32768\n")
    found = site.additions(paths, shop, served)
    assert found is not None
    [server] = found.servers
    assert render([server]) == "server 10.0.0.2:32768 max_fails=1 fail_timeout=5s;\n"
    assert site.additions(paths, shop, replace(served, values={})) is None


def test_settings_as_people_write_them() -> None:
    assert PLACEMENT.read({"PIKU_PLACEMENT": "node.role==worker, node.labels.disk != hdd"}) == (
        "node.role==worker",
        "node.labels.disk != hdd",
    )
    assert VOLUME.read({"PIKU_VOLUME": "local type=nfs device=:/export"}) == {
        "Name": "local",
        "Options": {"type": "nfs", "device": ":/export"},
    }
    assert REGISTRY.read({"PIKU_REGISTRY": "registry.example/team"}) == "registry.example/team"
    for setting, text in [(PLACEMENT, "disk"), (VOLUME, "local type"), (REGISTRY, "http://r")]:
        with pytest.raises(PikuError, match=f"^{setting.name}"):
            setting.read({setting.name: text})


def test_the_login_of_a_registry(tmp_path: Path) -> None:
    assert login.header("ghcr.io/me/shop@sha256:1", tmp_path) == {}
    pair = base64.b64encode(b"me:pass:word").decode()
    kept = tmp_path / ".docker" / "config.json"
    kept.parent.mkdir()
    auths = {"ghcr.io": {"auth": pair}, "https://index.docker.io/v1/": {"auth": pair}}
    kept.write_text(json.dumps({"auths": auths}))
    for registry in ("ghcr.io", "docker.io"):
        found = login.header(f"{registry}/me/shop@sha256:1", tmp_path)["X-Registry-Auth"]
        expected = {"username": "me", "password": "pass:word", "serveraddress": registry}
        assert json.loads(base64.urlsafe_b64decode(found)) == expected
    assert login.header("10.0.0.1:5000/shop@sha256:1", tmp_path) == {}
    for damaged in ('{"auths": {"ghcr.io": {"auth": "%"}}}', "[]", "{"):
        kept.write_text(damaged)
        with pytest.raises(PikuError, match="damaged"):
            login.header("ghcr.io/me/shop@sha256:1", tmp_path)
