"""A piku server whose cluster has two nodes, for all tests; engines.py has started the engines."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environment
import processes
import pytest
from sandbox import Sandbox

from piku.extras.swarm.api import Engine
from tests.e2e.support import CHECKOUT, App

# A folder to keep the server in: the base of images takes minutes, and is then found there.
KEPT = os.environ.get("PIKU_TEST_SERVER_FOLDER")
ENV = """\
PIKU_REGISTRY={registry}
PIKU_DOCKER_HOST=unix://{socket}
PIKU_DEPLOY_TIMEOUT=300
PIKU_IMAGE_PACKAGES=nodejs,python3,python3.11,uwsgi-core,uwsgi-plugin-python3
"""
INSECURE = """\
[[registry]]
location = "{registry}"
insecure = true
[[registry]]
location = "{full}"
insecure = true
[[registry]]
location = "{private}"
insecure = true
"""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The server that manages it, and how its nodes are taken away."""

    server: Sandbox
    about: Mapping[str, Any]

    def node(self, word: str, number: int) -> None:
        """ "kill", "stop", "start", "unplug" or "plug" a node; node 0 is the registry."""
        answer = Path(self.about["folder"], "answer")
        before = answer.stat().st_mtime_ns if answer.exists() else 0
        Path(self.about["control"]).write_text(f"{word} {number}\n")

        def said() -> str:  # it is empty for a moment while it is written
            return (
                answer.read_text()
                if answer.exists() and answer.stat().st_mtime_ns != before
                else ""
            )

        assert self.server.wait(said, 90) == "done\n"

    def cut_power(self) -> None:
        """Of the manager: piku and the engine with its containers, none of the other node's."""
        known = processes.tree(self.server.platform_pid())
        processes.kill_all(lambda: known & set(processes.running()))
        self.node("kill", 1)
        self.server.stop_platform()

    def nodes(self) -> list[list[str]]:
        result = self.server.piku("cluster:nodes")
        assert result.returncode == 0, result.stdout + result.stderr
        return [line.split() for line in result.stdout.splitlines()[1:]]

    def services(self, app: str) -> list[str]:
        """The names of an app's services."""
        found = self.engine.listing("services", label=[f"piku.app={app}"])
        return sorted(one["Spec"]["Name"] for one in found)

    def secrets(self, app: str) -> list[str]:
        return [
            one["Spec"]["Name"] for one in self.engine.listing("secrets", label=[f"piku.app={app}"])
        ]

    def began(self, app: str) -> list[str]:
        """The tasks of an app that run; a new one has another id."""
        tasks = self.engine.listing("tasks", label=[f"piku.app={app}"])
        return sorted(task["ID"] for task in tasks if task["Status"]["State"] == "running")

    @property
    def engine(self) -> Engine:
        return Engine(self.about["nodes"][0]["socket"])

    def app(self, name: str, files: Mapping[str, str] | Path) -> App:
        return App(server=self.server, name=name, repository=self.server.repository(name, files))


def _join(server: Sandbox, about: Mapping[str, Any]) -> None:
    """Make a cluster of the two engines, by piku's own commands."""
    manager, other = (node["address"] for node in about["nodes"])
    made = server.piku("cluster:init", manager)
    assert made.returncode == 0, made.stdout + made.stderr
    token = next(word for word in made.stdout.split() if word.startswith("SWMTKN-"))
    # Both machines' commands run here: the second one's has another engine.
    env = server.root / "ENV"
    text = env.read_text()
    env.write_text(text.replace(about["nodes"][0]["socket"], about["nodes"][1]["socket"]))
    joined = server.piku("cluster:join", manager, "--address", other, input=f"{token}\n")
    env.write_text(text)
    assert joined.returncode == 0, joined.stdout + joined.stderr


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    about = json.loads(Path(os.environ["PIKU_TEST_CLUSTER"]).read_text())
    base = Path(KEPT or tempfile.mkdtemp(prefix="cl-"))
    images = base / "server" / ".piku" / "cache" / "@images"
    if KEPT and images.is_dir():
        images.rename(base.with_name(f"{base.name}-images"))
    if KEPT:
        shutil.rmtree(base, ignore_errors=True)
    server = Sandbox(CHECKOUT, base)
    settings = server.home / ".config" / "containers" / "registries.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(INSECURE.format(**about))
    if KEPT and base.with_name(f"{base.name}-images").is_dir():
        images.parent.mkdir(parents=True)
        base.with_name(f"{base.name}-images").rename(images)
    try:
        with server:
            env = ENV.format(**about, socket=about["nodes"][0]["socket"])
            reach = environment.passed_on(environment.REGISTRIES)  # how this machine reaches them
            env += "".join(f"{name}='{text}'\n" for name, text in reach.items())
            (server.root / "ENV").write_text(env)
            _join(server, about)
            yield Cluster(server=server, about=about)
            # What runs on a cluster goes on when the platform stops.
            for name in (server.root / "repos").iterdir():
                server.piku("destroy", name.name, "--force")
        assert not server.leftovers
    finally:
        if not KEPT:
            shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session")
def new_app(cluster: Cluster) -> Callable[..., App]:
    return cluster.app
