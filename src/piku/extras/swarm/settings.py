"""The settings of apps that run on a cluster."""

import re
from typing import Any

from piku.app import checks
from piku.app.settings import Setting

SWARM = "swarm"


def _engine(text: str) -> str:
    """`swarm`, or nothing."""
    if text not in ("", SWARM):
        raise ValueError(f"not {SWARM!r}, nor empty")
    return text


def _registry(text: str) -> str:
    """A registry: HOST, HOST:PORT or HOST/FOLDER."""
    if text and not re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[a-z0-9._/-]+)?", text):
        raise ValueError("not HOST, HOST:PORT or HOST/FOLDER")
    return text


def _placement(text: str) -> tuple[str, ...]:
    """Constraints in Swarm's syntax, separated by commas."""
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    for word in found:
        if not re.fullmatch(r"[a-z.]+(\.[A-Za-z0-9_-]+)* ?(==|!=) ?[\w.-]+", word):
            raise ValueError(
                f"{checks.quoted(word)} is not a constraint such as node.labels.disk==ssd"
            )
    return found


def _volume(text: str) -> dict[str, Any]:
    """A volume driver with its options: local, local type=nfs o=addr=… device=:/…"""
    if not text:
        return {}
    driver, *words = text.split()
    pairs = {name: value for name, _, value in (word.partition("=") for word in words)}
    if not re.fullmatch(r"[A-Za-z0-9][\w.:/-]*", driver) or "" in pairs.values():
        raise ValueError("not DRIVER OPTION=VALUE…, such as: local type=nfs o=addr=… device=:/…")
    return {"Name": driver, "Options": pairs}


def _socket(text: str) -> str:
    if not re.fullmatch(r"unix:///\S+", text):
        raise ValueError("not unix:///PATH")
    return text.removeprefix("unix://")


ENGINE = Setting(
    name="PIKU_ENGINE",
    check=_engine,
    doc="Where the app's processes run: swarm for Docker Swarm, empty for this server.",
)
REGISTRY = Setting(
    name="PIKU_REGISTRY",
    check=_registry,
    doc="The registry that the nodes of a cluster get images from: HOST:PORT, or HOST/FOLDER.",
)
PLACEMENT = Setting(
    name="PIKU_PLACEMENT",
    check=_placement,
    doc="Which nodes of a cluster may run the app: node.labels.disk==ssd,node.role==worker.",
)
VOLUME = Setting(
    name="PIKU_VOLUME",
    check=_volume,
    doc="What keeps data/APP on a cluster: a volume driver and its options, such as local"
    " type=nfs o=addr=10.0.0.5,rw device=:/export. Plain local keeps files on each node by itself.",
)
DOCKER_HOST = Setting(
    name="PIKU_DOCKER_HOST",
    default="unix:///var/run/docker.sock",
    check=_socket,
    doc="The socket of the Docker engine of this server.",
    repository=False,
)

SETTINGS: tuple[Setting[Any], ...] = (ENGINE, REGISTRY, PLACEMENT, VOLUME, DOCKER_HOST)
