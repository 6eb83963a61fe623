"""What the engine is to run: a service per process type and start, its settings as a secret."""

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
from piku.deploy.releases import Process, Release
from piku.deploy.revision import Revision
from piku.errors import PikuError
from piku.extra import hooks
from piku.extras.swarm import agent
from piku.extras.swarm.api import Engine, Refused, group, piku_id
from piku.extras.swarm.settings import ENGINE, PLACEMENT, REGISTRY, VOLUME
from piku.output import Output
from piku.paths import AppPaths, Paths

_PORT = 8000  # inside the container
SETTINGS_FILE = "/run/secrets/piku-settings"  # as the image reads it
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
    if app.data.is_dir() and any(app.data.iterdir()) and not VOLUME.read(values):
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
    release, found = deployment.release, deployment.revision
    folder = app.start(process.start)
    made = spec(deployment, process, image(app, release, found, deployment.output))
    own = secret(deployment.values, release, process.port)
    about = {
        "vassal": str(process.vassal(app.name)),
        "place": str(process.place(app)),
        "secret": own,
        "spec": made,
    }
    file = folder / f"{process.worker}.service.json"
    files.write(file, json.dumps(about, indent=1), mode=0o600)
    # A container takes longer to start than the rest of this release: begin with it. A worker's
    # waits until the one before has ended.
    if process.instance == 1 and process.port and not deployment.plan.no_overlap_reason:
        agent.create(Engine.of(paths), made, own)
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


def image(app: AppPaths, release: Release, found: Revision, output: Output) -> str:
    """The image of a release in the registry; it is made once, for all starts of the release."""
    name = f"{REGISTRY.read(found.values)}/{app.name.label}"
    kept = marker(app) / f"v{release.number}"
    if not (made := files.read(kept).strip()).startswith(f"{name}@"):
        build = next(hooks("image"), None)
        if build is None:
            raise PikuError(f"{ENGINE.name} needs the extra `image`, which is not there")
        paths, place = Paths.from_environment(os.environ), f"docker://{name}:v{release.number}"
        made = build(paths, app, release, found, place, output)
        files.write(kept, f"{made}\n")
    return made


def secret(values: Mapping[str, str], release: Release, port: int | None = None) -> str:
    """The variables of a process, as the image's entry point reads them."""
    own = {
        "BIND_ADDRESS": "0.0.0.0",  # noqa: S104 (inside its container)
        "PIKU_RELEASE": str(release.number),
        "PIKU_COMMIT": release.commit,
        **({"PORT": str(_PORT)} if port else {}),
    }
    pairs = {**values, **own}.items()
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
                "Mounts": mounts(app, values),
            },
            "RestartPolicy": {"Condition": "any", "Delay": _SECOND},
            "Placement": {"Constraints": list(PLACEMENT.read(values))},
        },
        "Mode": {"Replicated": {"Replicas": count}},
        "EndpointSpec": {"Mode": "dnsrr", "Ports": [port] if process.port else []},
    }


def mounts(app: AppPaths, values: Mapping[str, str]) -> list[dict[str, Any]]:
    """The volume of the app's data, if it has one."""
    if not (driver := VOLUME.read(values)):
        return []
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", f"piku-{app.name}")
    mount = {"Type": "volume", "Source": name, "Target": str(app.data)}
    return [{**mount, "VolumeOptions": {"DriverConfig": driver}}]
