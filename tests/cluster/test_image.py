"""Images made by umoci and skopeo over a base by mmdebstrap, in a real registry; and the files of
`piku export`, taken by a plain Swarm and by the published schemas of Kubernetes."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import WSGI, App

SECRET = "a-secret-that-no-image-has"
# A pure package: no compiler, one small download.
FILES = {
    "Procfile": "wsgi: app:app\nworker: python3 -m http.server 9999\nrelease: echo migrated\n"
    "cron-tick: 0 6 * * * echo tick\n",
    "app.py": WSGI,
    "requirements.txt": "six==1.16.0\n",
    "ENV": f"PIKU_HEALTHCHECK_PATH=/\nAPI_TOKEN={SECRET}\n",
}


@pytest.fixture(scope="module")
def shop(cluster: Any) -> App:
    """An app that is live on the server, of which images are made."""
    app: App = cluster.app("imaged", {**FILES, "version.txt": "one"})
    app.deployed()
    return app


def layers(registry: str, reference: str) -> list[str]:
    """The digests of an image's layers, as the registry has them."""
    name, _, digest = reference.removeprefix(f"{registry}/").partition("@")
    accepted = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    with closing(http.client.HTTPConnection(registry, timeout=60)) as connection:
        connection.request("GET", f"/v2/{name}/manifests/{digest}", headers=accepted)
        return [layer["digest"] for layer in json.load(connection.getresponse())["layers"]]


def test_the_same_release_has_the_same_digest_and_a_change_of_code_one_new_layer(
    cluster: Any, shop: App
) -> None:
    registry = cluster.about["registry"]
    first = shop.does("image", "--to", f"docker://{registry}/imaged:1").strip()
    assert first.startswith(f"{registry}/imaged@sha256:")
    assert shop.does("image", "--to", f"docker://{registry}/imaged:again").strip() == first
    shop.commit(version_txt="two")
    shop.deployed()
    second = shop.does("image", "--to", f"docker://{registry}/imaged:2").strip()
    before, after = layers(registry, first), layers(registry, second)
    assert [old == new for old, new in zip(before, after, strict=True)][:3] == [True, True, False]
    old = str(shop.live() - 1)
    assert (
        shop.does("image", "--release", old, "--to", f"docker://{registry}/imaged:old").strip()
        == first
    )


def test_settings_are_not_in_the_image_and_its_user_is_not_root(shop: App, tmp_path: Path) -> None:
    shop.does("config:set", "OTHER_TOKEN=from-config-set")
    shop.does("image", "--to", f"oci:{tmp_path}/layout")
    blobs = sorted(
        (tmp_path / "layout" / "blobs" / "sha256").iterdir(), key=lambda b: b.stat().st_size
    )
    for blob in blobs[:-1]:  # all but Debian
        content = blob.read_bytes()
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        assert b"from-config-set" not in content
    configuration = next(
        found["config"]
        for blob in blobs[:3]
        if "config" in (found := json.loads(blob.read_bytes())) and "rootfs" in found
    )
    assert not re.match(r"(0|root)?(:|$)", configuration["User"])
    assert configuration["Entrypoint"] == ["/piku/start"]


def test_a_registry_that_is_down_is_named(shop: App) -> None:
    result = shop.says("image", "--to", "docker://127.0.0.1:1/shop:v1")
    assert result.returncode == 1
    assert "the image could not be copied to docker://127.0.0.1:1/shop:v1" in result.stderr
    assert "connection refused" in result.stderr


def exported(cluster: Any, app: App, engine: str) -> str:
    return app.does(
        "export", "--to", engine, "--image", f"docker://{cluster.about['registry']}/plain:1"
    )


@pytest.fixture
def docker(cluster: Any) -> Iterator[Callable[..., str]]:
    """The plain `docker` of the first node, from which the stack is removed at the end."""
    argv = ("/usr/bin/docker", "-H", f"unix://{cluster.about['nodes'][0]['socket']}")

    def run(*words: str, input: str | None = None) -> str:
        result = subprocess.run(
            [*argv, *words], input=input, check=False, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    yield run
    run("stack", "rm", "plain")


def test_a_plain_swarm_runs_the_compose_file(
    cluster: Any, shop: App, docker: Callable[..., str], tmp_path: Path
) -> None:
    text = exported(cluster, shop, "compose")
    # This kernel may have no IPVS, by which Swarm publishes a port on all nodes.
    host = "      - {target: 8000, published: 8000, mode: host}\n"
    text = text.replace('      - "8000:8000"\n', host)
    text = text.replace("      replicas: 1\n", "      replicas: 1\n      endpoint_mode: dnsrr\n")
    text = text.replace("order: start-first", "order: stop-first")
    (tmp_path / "compose.yml").write_text(text)
    docker("stack", "deploy", "-c", str(tmp_path / "compose.yml"), "plain")

    def answer() -> str:
        for node in cluster.about["nodes"]:
            connection = http.client.HTTPConnection(node["address"], 8000, timeout=5)
            try:
                connection.request("GET", "/about")
                return connection.getresponse().read().decode()
            except OSError:
                continue
            finally:
                connection.close()
        return ""

    about = json.loads(cluster.server.wait(answer, 120, "the stack answers"))
    assert about["version"] == "two"
    assert about["env"]["API_TOKEN"] == SECRET
    assert about["env"]["DATA_ROOT"] == str(shop.data)
    cluster.server.wait(lambda: "migrated" in docker("service", "logs", "plain_release"), 120)


def test_kubernetes_own_schemas_take_the_manifests(cluster: Any, shop: App, tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(exported(cluster, shop, "kubernetes"))
    venv = tmp_path / "venv"
    subprocess.run(["virtualenv", "--quiet", str(venv)], check=True)
    # It brings the schemas that the project publishes, of each version.
    pip = [str(venv / "bin" / "pip"), "install", "--quiet", "kubernetes-validate"]
    subprocess.run(pip, check=True)
    for version in ("1.27", "1.32"):
        argv = [str(venv / "bin" / "kubernetes-validate"), "--strict", "-k", version]
        result = subprocess.run(
            [*argv, str(tmp_path / "shop.yml")], check=False, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr
