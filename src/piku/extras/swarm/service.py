"""What the engine is to run: a service per process type and start, its settings as a secret."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import piku
from piku import extra, files
from piku.app import settings
from piku.deploy.deployment import Deployment
from piku.deploy.releases import Process
from piku.errors import PikuError
from piku.extra import hooks
from piku.extras.swarm.api import Engine, Refused, group, piku_id
from piku.extras.swarm.settings import ENGINE, PLACEMENT, REGISTRY, VOLUME
from piku.paths import AppPaths

_PORT = 8000  # inside the container
_SECOND = 10**9  # Docker counts in nanoseconds
_MEANT_FOR_HERE = ("PORT", "UWSGI_IDLE", "UWSGI_INCLUDE_FILE")


def is_chosen(values: Mapping[str, str]) -> bool:
    return bool(ENGINE.read(values))


def marker(app: AppPaths) -> Path:
    """The folder that is there while the app may have services: it holds what its images are."""
    return app.releases / "swarm"


def check(deployment: Deployment) -> list[str]:
    """Refuse what a cluster cannot do, by name."""
    values, app = deployment.values, deployment.app
    if not is_chosen(values):
        return []
    name = f"{ENGINE.name}={ENGINE.read(values)}"
    if not settings.SERVER_NAME.read(values):
        hint = f"piku config:set {app.name} NGINX_SERVER_NAME=www.example.com"
        raise PikuError(f"{name} needs a host name: nginx here passes requests on", hint=hint)
    for one in _MEANT_FOR_HERE:
        if values.get(one, "").strip() not in ("", "0"):
            hint = f"remove {one}, or keep the app on this server: {ENGINE.name}="
            raise PikuError(f"{name} cannot keep {one}", hint=hint)
    if not REGISTRY.read(values):
        hint = "the address of a registry that all nodes reach: PIKU_REGISTRY=10.0.0.1:5000"
        raise PikuError(f"{name} needs a registry for images", hint=hint)
    if app.data.is_dir() and any(app.data.iterdir()) and VOLUME.read(values) is None:
        hint = f"say where its files are, for all nodes: {VOLUME.name} ({VOLUME.doc})"
        raise PikuError(f"{app.data} has files, which other nodes do not see", hint=hint)
    try:
        Engine.of(deployment.paths).call("GET", "/swarm")
    except Refused:
        hint = "make one of it: piku cluster:init"
        raise PikuError("this server is not the manager of a cluster", hint=hint) from None
    limits = [one for one in values if re.fullmatch(r"PIKU_(MEMORY|CPU|NPROC)_LIMIT", one)]
    return [f"{one} does not count on a cluster" for one in limits]


# --- the vassal of a process ---------------------------------------------------------------------


def wrap(deployment: Deployment, process: Process, argv: Sequence[str]) -> Sequence[str]:
    """In place of the program, what watches over it on the cluster."""
    if not process.elsewhere:
        return argv
    app, paths = deployment.app, deployment.paths
    folder = app.start(process.start)
    about = {
        "vassal": str(process.vassal(app.name)),
        "place": str(process.place(app)),
        "secret": secret(deployment, process),
        "spec": spec(deployment, process, _image(deployment)),
    }
    file = folder / f"{process.worker}.service.json"
    files.write(file, json.dumps(about, indent=1), mode=0o600)
    selection = {extra.SELECTION: os.environ.get(extra.SELECTION, "")}
    variables = {
        "PATH": os.environ.get("PATH", ""),
        "HOME": str(paths.home),
        "PIKU_ROOT": str(paths.root),
        "PYTHONPATH": str(Path(piku.__file__).resolve().parents[1]),
        **{name: value for name, value in selection.items() if value},
    }
    pairs = [f"{name}={value}" for name, value in variables.items()]
    python = [sys.executable, "-B", "-m", "piku.extras.swarm.agent"]
    return ["env", "-i", *pairs, *python, str(file)]


def _image(deployment: Deployment) -> str:
    """The image of the release in the registry; it is made once, for all starts of the release."""
    app, release = deployment.app, deployment.release
    short = app.name.label
    name = f"{REGISTRY.read(deployment.values)}/{short}"
    kept = marker(app) / f"v{release.number}"
    if not (made := files.read(kept).strip()).startswith(f"{name}@"):
        build = next(hooks("image"), None)
        if build is None:
            raise PikuError(f"{ENGINE.name} needs the extra `image`, which is not there")
        place = f"docker://{name}:v{release.number}"
        found, output = deployment.revision, deployment.output
        made = build(deployment.paths, app, release, found, place, output)
        files.write(kept, f"{made}\n")
    return made


def secret(deployment: Deployment, process: Process) -> str:
    """The variables of the process, as the image's entry point reads them."""
    own = {
        "BIND_ADDRESS": "0.0.0.0",  # noqa: S104 (inside its container)
        "PIKU_RELEASE": str(deployment.release.number),
        "PIKU_COMMIT": deployment.release.commit,
        **({"PORT": str(_PORT)} if process.port else {}),
    }
    pairs = {**deployment.values, **own}.items()
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in pairs)


def service_name(app: str, release: int, process: Process) -> str:
    """Such as "shop-v7-web-123": each start has its own, beside the old one. Docker allows 63."""
    words = f"-v{release}-{process.kind}-{process.start}"
    plain = re.sub(r"[^A-Za-z0-9]+", "-", app).strip("-")
    if plain != app or len(app + words) > 63:
        digest = hashlib.sha256(app.encode()).hexdigest()[:6]
        plain = f"{plain[: 56 - len(words)].rstrip('-')}-{digest}"
    return re.sub(r"[^A-Za-z0-9-]", "-", plain + words)


def spec(deployment: Deployment, process: Process, image: str) -> dict[str, Any]:
    """The service as the engine's API takes it."""
    app, values = deployment.app, deployment.values
    labels = {
        "piku": piku_id(deployment.paths),
        "piku.app": app.name,
        "piku.group": group(process.vassal(app.name)),
    }
    # The engine gives each task a port of its node: releases, and processes of a kind, meet there.
    port = {"Protocol": "tcp", "PublishMode": "host", "TargetPort": _PORT}
    plan = deployment.plan
    count = dict(plan.workers).get(process.kind, plan.instances)
    return {
        "Name": service_name(app.name, deployment.release.number, process),
        "Labels": labels,
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": image,
                "Args": [process.kind],
                "StopGracePeriod": max(1, settings.STOP_TIMEOUT.read(values) - 1) * _SECOND,
                "Mounts": _mounts(deployment),
            },
            "RestartPolicy": {"Condition": "any", "Delay": _SECOND},
            "Placement": {"Constraints": list(PLACEMENT.read(values))},
        },
        "Mode": {"Replicated": {"Replicas": count}},
        "EndpointSpec": {"Mode": "dnsrr", "Ports": [port] if process.port else []},
    }


def _mounts(deployment: Deployment) -> list[dict[str, Any]]:
    if (volume := VOLUME.read(deployment.values)) is None:
        return []
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", f"piku-{deployment.app.name}")
    driver = {"Name": volume.driver, "Options": volume.options}
    return [
        {
            "Type": "volume", "Source": name, "Target": str(deployment.app.data),
            "VolumeOptions": {"DriverConfig": driver},
        }
    ]  # fmt: skip
