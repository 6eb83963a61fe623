"""A Compose file (version 3.8), for `docker stack deploy` as well as for `docker compose`. Pure."""

from typing import Any

from piku.extras.export.app import PORT, App

# Without curl in the image: bash opens the connection itself.
_TCP = f"exec 3<>/dev/tcp/127.0.0.1/{PORT}"
_HTTP = (
    f"{_TCP}; printf 'GET %s HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' \"$$0\" >&3;"
    ' read -r _ status _ <&3; [ "$$status" -lt 500 ]'
)


def documents(app: App) -> list[dict[str, Any]]:
    """The one document."""
    services = {kind: _service(app, kind, count) for kind, count in app.processes.items()}
    if "release" in app.procfile:
        once = {"replicas": 1, "restart_policy": {"condition": "none"}}
        services["release"] = {**_common(app, "release"), "restart": "no", "deploy": once}
    document: dict[str, Any] = {"version": "3.8", "services": services}
    if app.data:
        document["volumes"] = {"data": {}}
    return [document]


def warnings(app: App) -> list[str]:
    found = []
    if app.serving:
        found.append(f"It answers on port {PORT}: names and HTTPS are for a proxy in front of it.")
    if "release" in app.procfile:
        found.append("The release command starts with the others, and not before them.")
    for job in app.jobs:
        run = f"docker run --rm --env-file … {app.image} {job.kind}"
        found.append(f"Compose has no schedules: {job.schedule.text} {run}")
    return found


def _common(app: App, kind: str) -> dict[str, Any]:
    # A dollar begins a variable of Compose's own.
    variables = {k: v.replace("$", "$$") for k, v in app.variables.items()}
    return {
        "image": app.image,
        "command": [kind],
        "environment": {**variables, "PORT": str(PORT)},
        "stop_grace_period": f"{app.stop_timeout}s",
        "volumes": [f"data:{app.data}"] if app.data else None,
    }


def _service(app: App, kind: str, count: int) -> dict[str, Any]:
    serves = kind == app.serving
    path = app.health_path.replace("$", "$$")
    test = ["CMD", "bash", "-c", _HTTP if path else _TCP, *([path] if path else [])]
    check = {"test": test, "interval": "10s", "timeout": "5s", "start_period": "60s"}
    # What serves overlaps with what is there before it; workers do not.
    order = "start-first" if serves else "stop-first"
    return {
        **_common(app, kind),
        "restart": "unless-stopped",
        "ports": [f"{PORT}:{PORT}"] if serves else None,
        "healthcheck": check if serves else None,
        "deploy": {
            "replicas": count,
            "update_config": {"order": order, "failure_action": "rollback"},
        },
    }
