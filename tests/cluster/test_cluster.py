"""What a push, and the commands after it, do on a cluster of two nodes."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import Cluster
from tests.e2e.support import SERVER, App, web, wsgi
from tests.faults.killed import KILL, at_moment
from tests.load import Load, Plan

ENGINE = "PIKU_ENGINE=swarm\n"
NODES = {"10.77.77.1", "10.77.77.2"}
BROKEN = "import sys\nprint('no such database', flush=True)\nsys.exit(3)\n"


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> App:
    """A `web` app of two processes."""
    app = cluster.app("shop", web("shop", env=f"{ENGINE}COLOUR=red\n"))
    app.server.piku("apps:create", "shop")
    app.does("ps:scale", "web=2")
    app.deployed()
    return app


@contextlib.contextmanager
def load(app: App) -> Iterator[Load]:
    """Steady requests, some of them slow."""
    plan = Plan(port=app.server.http_port, host=app.host, rate=40, connections=10, slow=2, kept=4)
    with Load(plan) as running:
        yield running
    report = running.report
    print(app.name, report.requests, report.failures, report.failed[:5], file=sys.stderr)


def places(app: App) -> list[str]:
    """The nodes of its `web` processes."""
    rows = app.ps()
    return [row["address"].partition(":")[0] for name, row in rows.items() if "web" in name]


def test_the_nodes_are_shown(cluster: Cluster) -> None:
    assert sorted(row[1:4] for row in cluster.nodes()) == [
        ["10.77.77.1", "manager", "ready"],
        ["10.77.77.2", "worker", "ready"],
    ]


def test_a_web_app_is_served_from_both_nodes(cluster: Cluster, shop: App) -> None:
    assert set(places(shop)) == NODES
    assert len(cluster.services("shop")) == 1
    shown = shop.does("ps")
    assert "web.1: running on n" in shown and "web.2: running on n" in shown
    about = shop.about()
    assert about["env"]["COLOUR"] == "red"
    assert about["cwd"].startswith(str(shop.server.root))
    ports = {row["address"] for row in shop.ps().values()}
    assert {shop.direct(int(p.partition(":")[2]), address=p.partition(":")[0]) for p in ports} == {
        "one"
    }


def test_the_logs_are_of_all_nodes(shop: App) -> None:
    for number, row in enumerate(shop.ps().values()):
        host, _, port = row["address"].partition(":")
        shop.direct(int(port), f"/log?first=1&last=3&text=node{number}", host)
    shop.server.wait(
        lambda: all(
            f"line 3 of node{number}" in shop.does("logs", "--no-follow") for number in (0, 1)
        )
    )


def test_no_request_is_lost_by_changes(cluster: Cluster, shop: App) -> None:
    with load(shop) as running:
        shop.commit("Two", version_txt="two")
        shop.deployed()
        assert shop.body() == "two"
        shop.does("ps:scale", "web=4")
        assert sorted(places(shop)) == sorted([*NODES, *NODES])
        shop.does("ps:scale", "web=2")
        shop.does("config:set", "COLOUR=blue")
        assert shop.about()["env"]["COLOUR"] == "blue"
        shop.does("restart")
        shop.does("rollback", "v1")
    assert not running.report.failures, running.report.failed
    assert shop.body() == "one"
    assert shop.about()["env"]["COLOUR"] == "red"
    shop.ps()
    shop.server.wait(lambda: len(cluster.services("shop")) == 1)


def test_a_release_that_fails_leaves_the_old_one(cluster: Cluster, shop: App) -> None:
    shop.commit("Broken", server_py=BROKEN)
    said = "\n".join(shop.failed())
    assert "web.1 ended with exit code 3" in said
    assert "no such database" in said
    assert shop.body() == "one"
    cluster.server.wait(lambda: len(cluster.services("shop")) == 1)
    shop.commit("Whole", server_py=SERVER)


def test_a_registry_that_is_down_leaves_the_old_one(shop: App) -> None:
    result = shop.says("config:set", "PIKU_REGISTRY=10.77.77.254:1")
    assert result.returncode == 1
    assert "could not be copied" in result.stdout + result.stderr
    assert shop.body() == "one"


def test_one_off_commands_have_the_releases_settings(shop: App) -> None:
    assert shop.does("run", "echo $COLOUR").strip() == "red"


@pytest.mark.parametrize("step", ["configuration", "start", "switch"])
def test_a_killed_deploy_leaves_one_release_whole(cluster: Cluster, shop: App, step: str) -> None:
    shop.commit(step, server_py=SERVER, version_txt=step)
    repository = str(shop.server.root / "repos" / "shop")
    # Brought to the server, which does not deploy it by itself.
    pack = "git -c core.hooksPath=/ receive-pack"
    shop.server.git(shop.repository, "push", "-q", "-f", "--receive-pack", pack, repository, "main")
    before = shop.body()
    result = at_moment(shop, step, KILL, "deploy", "shop")
    assert result.returncode == -9
    assert shop.body() in (before, step)
    shop.does("restart")
    assert shop.body() in (before, step)
    shop.ps()
    cluster.server.wait(lambda: len(cluster.services("shop")) == 1)


def test_the_platform_starts_again_and_finds_what_runs(cluster: Cluster, shop: App) -> None:
    services, began = cluster.services("shop"), cluster.began("shop")
    cluster.server.stop_platform()
    assert cluster.services("shop") == services
    cluster.server.start_platform()
    cluster.server.wait(lambda: shop.status() == 200)
    cluster.server.wait(lambda: all(row["state"] == "up" for row in shop.ps().values()))
    assert cluster.services("shop") == services
    assert cluster.began("shop") == began
    # A power cut, which takes the containers with it: Swarm starts them again.
    cluster.server.kill_platform()
    cluster.server.start_platform()
    cluster.server.wait(lambda: shop.status() == 200)
    assert cluster.services("shop") == services


def test_a_node_that_dies(cluster: Cluster, shop: App) -> None:
    with load(shop) as running:
        cluster.node("kill", 2)
        cluster.server.wait(lambda: places(shop) == ["10.77.77.1"] * 2, 90)
    assert running.report.failures <= 5, running.report.failed
    cluster.node("start", 2)
    cluster.server.wait(lambda: [row[3] for row in cluster.nodes()] == ["ready", "ready"], 60)
    shop.does("restart")
    assert set(places(shop)) == NODES


def test_workers_never_overlap(cluster: Cluster) -> None:
    worker = (
        "import os, signal, sys, time\n"
        "def say(what): print(f'{time.time():.3f} {what} {os.environ[\"PIKU_RELEASE\"]}', flush=True)\n"
        "def stop(*_): time.sleep(1); say('stop'); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "say('start')\n"
        "while True: time.sleep(0.1)\n"
    )
    files = web("mill", env=ENGINE, procfile="worker: exec python3 -IS worker.py\n")
    app = cluster.app("mill", {**files, "worker.py": worker})
    app.deployed()
    app.does("restart")

    def events() -> list[str]:
        """Starts and ends by the time at which they were written, whatever node that was on."""
        text = app.does("logs", "worker", "--no-follow")
        return [what for _, what in sorted(re.findall(r"(\d+\.\d{3}) (start|stop) ", text))]

    app.server.wait(lambda: len(events()) == 3)
    assert events() == ["start", "stop", "start"]
    assert app.server.piku("destroy", "mill", "--force").returncode == 0
    assert cluster.services("mill") == []


def test_wsgi(cluster: Cluster) -> None:
    app = cluster.app("python", wsgi("python", env=ENGINE))
    app.deployed()
    assert app.status() == 200
    [row] = app.ps().values()
    assert row["address"].partition(":")[0] in NODES
    app.does("stop")
    cluster.server.wait(lambda: cluster.services("python") == [])
    assert app.status() == 503


def test_an_app_may_stay_on_the_server(cluster: Cluster, shop: App) -> None:
    """The seconds of a push that changes code, here and on the cluster, are docs/benchmarks.md's."""
    near = cluster.app("near", web("near"))
    near.deployed()
    assert near.ps()["web.1"]["address"].startswith("127.0.0.1:")
    assert cluster.services("near") == []
    for number in range(3):
        for app in (near, shop):
            app.commit(f"change {number}", server_py=SERVER, version_txt=f"change {number}")
            begun = time.monotonic()
            said = app.deployed()
            took = time.monotonic() - begun
            print(f"{app.name}: {took:.2f} s;", next(line for line in said if "is live" in line))
            assert app.body() == f"change {number}"


def test_an_app_that_is_destroyed_leaves_no_service(cluster: Cluster, shop: App) -> None:
    assert shop.server.piku("destroy", "shop", "--force").returncode == 0
    assert cluster.services("shop") == cluster.secrets("shop") == []
