"""What a push, and the commands after it, do on a cluster of two nodes."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import re
import sys
import time
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import Cluster
from tests.e2e.support import CHECKOUT, SERVER, WEB, App, web, wsgi
from tests.faults.killed import KILL, at_moment
from tests.load import Load, Plan

ENGINE = "PIKU_ENGINE=swarm\n"
MANAGER, OTHER = "10.77.77.1", "10.77.77.2"
NODES = {MANAGER, OTHER}
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
    beyond = f"{report.beyond:.1f} s"
    print(app.name, report.requests, report.failures, report.failed[:5], beyond, file=sys.stderr)


def places(app: App) -> list[str]:
    """The nodes of its `web` processes."""
    rows = app.ps()
    return [row["address"].partition(":")[0] for name, row in rows.items() if "web" in name]


def test_the_nodes_are_shown(cluster: Cluster) -> None:
    assert sorted(row[1:4] for row in cluster.nodes()) == [
        [MANAGER, "manager", "ready"],
        [OTHER, "worker", "ready"],
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


def test_a_registry_that_is_down_or_full_leaves_the_old_one(cluster: Cluster, shop: App) -> None:
    shop.commit(version_txt="two")
    cluster.node("stop", 0)
    try:
        said = "\n".join(shop.failed())
    finally:
        cluster.node("start", 0)
    assert "could not be copied" in said and "connection refused" in said
    assert "still runs, as before" in said
    assert shop.body() == "one"
    shop.deployed()
    assert shop.body() == "two"
    result = shop.says("config:set", f"PIKU_REGISTRY={cluster.about['full']}")
    assert result.returncode == 1
    assert "could not be copied" in result.stderr and "its disk is full" in result.stderr
    assert shop.body() == "two"
    cluster.server.wait(lambda: len(cluster.services("shop")) == 1)


def test_a_registry_with_a_login(cluster: Cluster) -> None:
    """The nodes get the login that this server has, also for a later start."""
    registry = cluster.about["private"]
    app = cluster.app("private", web("private", env=f"{ENGINE}PIKU_REGISTRY={registry}\n"))
    said = "\n".join(app.failed())
    assert "could not be copied" in said and "authentication required" in said
    kept = cluster.server.home / ".docker" / "config.json"
    kept.parent.mkdir()
    pair = base64.b64encode(b"piku:secret").decode()
    kept.write_text(json.dumps({"auths": {registry: {"auth": pair}}}))
    app.server.piku("apps:create", "private")
    app.does("ps:scale", "web=2")
    app.deployed()
    assert set(places(app)) == NODES
    assert app.does("run", "echo $PIKU_RELEASE").strip() == str(app.live())
    assert app.server.piku("destroy", "private", "--force").returncode == 0


def test_one_off_commands_run_in_the_image(cluster: Cluster, shop: App) -> None:
    inside = "test -x /piku/start && echo $COLOUR $PIKU_RELEASE"
    assert shop.does("run", inside).split() == ["red", str(shop.live())]
    assert shop.asked("run", "cat; exit 3", input="typed").stdout == "typed"
    assert shop.asked("run", "exit 3").returncode == 3
    shown = shop.asked("run", "tty", tty=True)
    assert "/dev/pts/" in shown.stdout, shown
    name = shop.server.piku("run", "--detach", "shop", inside).stdout.strip()
    shop.server.wait(lambda: f"red {shop.live()}" in shop.does("logs", name, "--no-follow"))
    shop.commit("Cron", Procfile=f"{WEB}cron-tick: 0 6 1 1 * {inside}\n")
    shop.deployed()
    shop.does("cron:run", "tick")
    assert f"red {shop.live()}" in shop.does("logs", "cron-tick", "--no-follow")
    running = [one["Names"][0] for one in cluster.engine.call("GET", "/containers/json")]
    assert all(name.startswith("/shop-v") for name in running), running
    shop.commit("No cron", Procfile=WEB)
    shop.deployed()


@pytest.mark.parametrize(("step", "stride"), [("configuration", 9), ("start", 2), ("switch", 8)])
def test_a_killed_deploy_leaves_one_release_whole(
    cluster: Cluster, shop: App, step: str, stride: int
) -> None:
    """Killed before every so many changes of a step; the next deploy puts things right."""
    repository = str(shop.server.root / "repos" / "shop")
    text = shop.body()
    for count in itertools.count():
        # One that was killed right after it went live serves when the next has put things right.
        before, text = text, f"killed at {step} {count}"
        shop.commit(text, server_py=SERVER, version_txt=text)
        # Brought to the server, which does not deploy it by itself.
        pack = ["--receive-pack", "git -c core.hooksPath=/ receive-pack", repository]
        shop.server.git(shop.repository, "push", "-q", "-f", *pack, "main")
        known = (shop.body(), before, text)
        result = at_moment(shop, f"{step}+{count * stride}", KILL, "deploy", "shop")
        assert shop.body() in known
        if result.returncode != -9:
            break
    assert result.returncode == 0, result.stdout + result.stderr
    assert count >= 3
    assert shop.body() == text
    cluster.server.wait(lambda: len(cluster.services("shop")) == len(cluster.secrets("shop")) == 1)
    assert len(shop.ps()) == 2


@pytest.mark.parametrize("first", ["engine", "piku"])
def test_the_manager_reboots(cluster: Cluster, shop: App, first: str) -> None:
    """Everything on it is gone at once, and starts in one order or the other."""
    services, known = cluster.services("shop"), shop.body()
    [other] = (row["address"] for row in shop.ps().values() if row["address"].startswith(OTHER))
    cluster.cut_power()
    host, _, port = other.partition(":")
    assert shop.direct(int(port), address=host) == known  # the other node goes on
    if first == "engine":
        cluster.node("start", 1)
    cluster.server.start_platform()
    if first == "piku":
        cluster.node("start", 1)
    begun = time.monotonic()
    cluster.server.wait(lambda: shop.status() == 200, 60)
    print(f"{first} first: answers after {time.monotonic() - begun:.1f} s", file=sys.stderr)
    cluster.server.wait(lambda: [row["state"] for row in shop.ps().values()] == ["up", "up"], 60)
    assert cluster.services("shop") == services
    assert {shop.status() for _ in range(8)} == {200}
    cluster.server.wait(lambda: [row[3] for row in cluster.nodes()] == ["ready", "ready"], 60)
    shop.does("restart")
    assert set(places(shop)) == NODES


def test_a_node_that_dies(cluster: Cluster, shop: App) -> None:
    with load(shop) as running:
        cluster.node("kill", 2)
        cluster.server.wait(lambda: places(shop) == [MANAGER] * 2, 90)
    assert running.report.failures <= 5, running.report.failed
    cluster.node("start", 2)
    cluster.server.wait(lambda: [row[3] for row in cluster.nodes()] == ["ready", "ready"], 60)
    shop.does("restart")
    assert set(places(shop)) == NODES


def test_a_node_whose_cable_is_pulled(cluster: Cluster, shop: App) -> None:
    """Its address does not even refuse: only what was sent to it before may be lost."""
    try:
        with load(shop) as running:
            cluster.node("unplug", 2)
            shop.commit(server_py=SERVER, version_txt="unplugged")
            shop.deployed()  # as soon as the engine knows that the node is gone
            cluster.server.wait(lambda: places(shop) == [MANAGER] * 2, 90)
            assert shop.body() == "unplugged"
        assert running.report.failures <= 5, running.report.failed
    finally:
        cluster.node("plug", 2)
    cluster.server.wait(lambda: [row[3] for row in cluster.nodes()] == ["ready", "ready"], 60)
    # What went on there alone has been ended.
    cluster.server.wait(lambda: len(cluster.began("shop")) == 2, 60)
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


@pytest.mark.parametrize(("name", "code"), [("node", "server.js"), ("go", "main.go")])
def test_other_languages(cluster: Cluster, name: str, code: str) -> None:
    app = cluster.app(name, CHECKOUT / "examples" / name)
    app.commit(ENV=f"NGINX_SERVER_NAME={app.host}\n{ENGINE}")
    app.deployed()
    assert app.body().startswith("Hello from")
    app.does("ps:scale", "web=2")
    assert set(places(app)) == NODES
    text = (app.repository / code).read_text()
    with load(app) as running:
        app.server.commit(app.repository, {code: text.replace("Hello", "Goodbye")}, "Change")
        app.deployed()
    assert not running.report.failures, running.report.failed
    assert app.body().startswith("Goodbye from")
    assert app.server.piku("destroy", name, "--force").returncode == 0


def test_a_volume_and_where_an_app_may_run(cluster: Cluster) -> None:
    app = cluster.app("files", web("files", env=ENGINE))
    shared = cluster.server.base / "shared"  # in the place of a server for files
    shared.mkdir()
    app.server.piku("apps:create", "files")
    app.does("config:set", f"PIKU_VOLUME=local type=none o=bind device={shared}")
    app.does("config:set", "PIKU_PLACEMENT=node.hostname==n2")
    app.does("ps:scale", "web=2")
    app.deployed()
    assert places(app) == [OTHER, OTHER]
    place = f"{app.data}/it"
    app.body(f"/write?file={place}&text=kept")
    app.does("config:set", "PIKU_PLACEMENT=")
    addresses = [row["address"].split(":") for row in app.ps().values()]
    assert {host for host, _ in addresses} == NODES
    for host, port in addresses:
        assert app.direct(int(port), f"/read?file={place}", host) == "kept"
    assert app.does("run", f"cat {place}") == (shared / "it").read_text() == "kept"
    result = app.says("config:set", "PIKU_PLACEMENT=node.labels.disk==ssd", "PIKU_DEPLOY_TIMEOUT=8")
    assert result.returncode == 1
    assert "no suitable node" in result.stdout + result.stderr
    assert app.body() == "one"
    assert app.server.piku("destroy", "files", "--force").returncode == 0
    assert (shared / "it").exists()


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
